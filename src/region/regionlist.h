/* The registry of regions: FP_REGION(name in the run file, suffix of its function, help). */
FP_REGION("ball", Ball, "|z - center| < radius")
FP_REGION("box", Box, "|z_i - center_i| < radius_i for every coordinate")
FP_REGION("half_space", HalfSpace, "normal . z < offset")
FP_REGION("sublevel", Sublevel, "excess loss < level")
