/* The registry of data types: FP_DATA(name in the run file, suffix of its functions, table of its keys, help). */
FP_DATA("file", File, FPFileParameters, "rows of a CSV file, drawn uniformly with replacement")
FP_DATA("gaussian", Gaussian, FPTeacherParameters, "x ~ N(0, second_moment I), y = teacher x + label_noise N(0, I)")
FP_DATA("rademacher", Rademacher, FPTeacherParameters, "the same with every input +-sqrt(second_moment)")
