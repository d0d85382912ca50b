/* main.c: the command line. It only wires objects together and turns errors into one line and an exit code. */
#include "fprun.h"
#include "fpprocess.h"
#include "fpregion.h"
#include <signal.h>
#include <slepcsys.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_DONE, EXIT_FAILED, EXIT_INPUT, EXIT_DISAGREE };

static const char Usage[] =
    "dlnfp " FP_VERSION ": which stochastic model of SGD is right, on deep linear networks of few coordinates\n"
    "\n"
    "  dlnfp run FILE.yaml [-out DIR] [-key value ...]   compute; results in DIR, else in out/FILE\n"
    "  dlnfp sweep FILE.yaml -over KEY=a,b,c [-over KEY2=...] [-out DIR] [-key value ...]\n"
    "                                                    a run at every value; tables in DIR/sweep.json\n"
    "  dlnfp sample FILE.yaml -process NAME -count N [-format csv|h5] [-out DIR] [-key value ...]\n"
    "                                                    points of a stationary law (keys sample_law and\n"
    "                                                    sample_region: of others), in DIR/sample.csv or sample.h5\n"
    "  dlnfp check FILE.yaml [-key value ...]            read and validate, compute nothing\n"
    "  dlnfp list [data|models|processes|engines|observables|regions|keys]\n"
    "  dlnfp list critical_points FILE.yaml [-key value ...]\n"
    "  dlnfp --version, --help\n"
    "\n"
    "Nested keys of the run file join with '_': \"training: {batch_size: 4}\" is -training_batch_size 4 here.\n"
    "Lists are written with commas, -mesh_cells 64,48; -flag alone is -flag true; -verify is -generator_verify.\n"
    "Of PETSc's own options these are passed on: -log_view, -malloc_dump, -info, -citations, -objects_dump.\n"
    "Exit codes: 0 done, 1 a computation failed, 2 bad input, 3 a cross-check disagreed beyond the threshold.\n";

/* What the error handler remembers of the first error. */
typedef struct {
  PetscBool input;
  char      message[1024];
} Failure;

/* PETSc found a text from the run file that it cannot use: not a number, or a type that does not exist. */
static PetscBool IsSolverInput(const char fun[], PetscErrorCode code)
{
  return (PetscBool)(code == PETSC_ERR_ARG_UNKNOWN_TYPE || !strncmp(fun, "PetscOptions", 12));
}

/* Bad input, missed convergence and diverged particles are one line, printed at the end; all else also leaves PETSc's
 * trace. */
static PetscErrorCode HandleError(MPI_Comm comm, int line, const char *fun, const char *file, PetscErrorCode code,
                                  PetscErrorType type, const char *message, void *context)
{
  Failure *failure = (Failure *)context;

  if (type == PETSC_ERROR_INITIAL) {
    const PetscBool solver = IsSolverInput(fun ? fun : "", code);

    failure->input = (PetscBool)(solver || code == PETSC_ERR_USER_INPUT);
    (void)snprintf(failure->message, sizeof(failure->message), "%s%s", solver ? "a solver key: " : "",
                   message ? message : "");
    for (char *c = failure->message; *c; c++)
      if (*c == '\n' || *c == '\r') *c = ' ';
  }
  if (failure->input || code == PETSC_ERR_NOT_CONVERGED || code == PETSC_ERR_FP) return code;
  return PetscTraceBackErrorHandler(comm, line, fun, file, code, type, message, NULL);
}

/* "runs/two_wells.yaml" -> "out/two_wells" */
static PetscErrorCode DefaultDirectory(const char file[], size_t length, char dir[])
{
  const char  *slash = strrchr(file, '/');
  const char  *name  = slash ? slash + 1 : file;
  const char  *dot   = strrchr(name, '.');
  const size_t end   = dot && dot > name ? (size_t)(dot - name) : strlen(name);

  PetscFunctionBegin;
  FPInputCheck(end + 5 < length, "the name of the run file %.60s... is too long", name);
  (void)snprintf(dir, length, "out/%.*s", (int)end, name);
  PetscFunctionReturn(0);
}

/* Takes "-option VALUE" out of the words; text stays as it is without one. */
static PetscErrorCode TakeOption(const char option[], const char what[], int *argc, char *argv[], size_t length,
                                 char text[])
{
  PetscFunctionBegin;
  for (int i = 0; i < *argc; i++) {
    if (strcmp(argv[i], option)) continue;
    FPInputCheck(i + 1 < *argc && argv[i + 1][0] && argv[i + 1][0] != '-', "command line: %s needs %s", option, what);
    FPInputCheck(strlen(argv[i + 1]) < length, "command line: %s %.60s... is too long", option, argv[i + 1]);
    PetscCall(PetscStrncpy(text, argv[i + 1], length));
    *argc -= 2;
    for (int k = i; k < *argc; k++) argv[k] = argv[k + 2];
    break;
  }
  PetscFunctionReturn(0);
}

/* argv: FILE.yaml [-key value ...] */
static PetscErrorCode LoadConfig(const char command[], int argc, char *argv[], FPConfig *config)
{
  static char verify[] = "-generator_verify";

  PetscFunctionBegin;
  FPInputCheck(argc > 0 && argv[0][0] != '-',
               "command line: the run file comes first, dlnfp %s FILE.yaml [-key value ...]", command);
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-verify")) argv[i] = verify;
  PetscCall(FPConfigCreate(config));
  PetscCall(FPConfigLoad(*config, argv[0]));
  PetscCall(FPConfigOverride(*config, argc - 1, argv + 1));
  PetscFunctionReturn(0);
}

static PetscErrorCode RunFile(int argc, char *argv[], PetscInt *disagreements)
{
  FPConfig config;
  char     dir[FP_TEXT] = "";

  PetscFunctionBegin;
  PetscCall(TakeOption("-out", "a directory", &argc, argv, sizeof(dir), dir));
  PetscCall(LoadConfig("run", argc, argv, &config));
  if (!dir[0]) PetscCall(DefaultDirectory(argv[0], sizeof(dir), dir));
  PetscCall(FPRunExecute(config, dir, disagreements));
  PetscCall(FPConfigCheckUnread(config));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

/* Takes "-over KEY=VALUES" out of the words, once or twice. */
static PetscErrorCode TakeOver(int *argc, char *argv[], FPSweep *sweep)
{
  int kept = 0;

  PetscFunctionBegin;
  for (int i = 0; i < *argc; i++) {
    if (strcmp(argv[i], "-over")) {
      argv[kept++] = argv[i];
      continue;
    }
    FPInputCheck(i + 1 < *argc && strchr(argv[i + 1], '=') > argv[i + 1], "command line: -over needs KEY=a,b,c");
    FPInputCheck(sweep->keys < 2, "command line: -over %s: at most two keys are swept at a time", argv[i + 1]);
    sweep->over[sweep->keys++] = argv[++i];
  }
  FPInputCheck(sweep->keys, "command line: dlnfp sweep needs -over KEY=a,b,c");
  *argc = kept;
  PetscFunctionReturn(0);
}

static PetscErrorCode SweepFile(int argc, char *argv[], PetscInt *disagreements)
{
  FPSweep sweep        = {0};
  char    dir[FP_TEXT] = "";

  PetscFunctionBegin;
  PetscCall(TakeOption("-out", "a directory", &argc, argv, sizeof(dir), dir));
  PetscCall(TakeOver(&argc, argv, &sweep));
  FPInputCheck(argc > 0 && argv[0][0] != '-',
               "command line: the run file comes first, dlnfp sweep FILE.yaml -over KEY=a,b,c [-key value ...]");
  if (!dir[0]) {
    PetscCall(DefaultDirectory(argv[0], sizeof(dir) - 8, dir));
    PetscCall(PetscStrlcat(dir, "_sweep", sizeof(dir)));
  }
  sweep.file  = argv[0];
  sweep.dir   = dir;
  sweep.words = argc - 1;
  sweep.word  = argv + 1;
  PetscCall(FPRunSweep(&sweep, disagreements));
  PetscFunctionReturn(0);
}

static PetscErrorCode SampleFile(int argc, char *argv[])
{
  FPConfig config;
  char     dir[FP_TEXT] = "", process[FP_NAME] = "", number[FP_NAME] = "", format[FP_NAME] = "csv", *end;
  long     count;

  PetscFunctionBegin;
  PetscCall(TakeOption("-out", "a directory", &argc, argv, sizeof(dir), dir));
  PetscCall(TakeOption("-process", "a name", &argc, argv, sizeof(process), process));
  PetscCall(TakeOption("-count", "a number of points", &argc, argv, sizeof(number), number));
  PetscCall(TakeOption("-format", "csv or h5", &argc, argv, sizeof(format), format));
  FPInputCheck(process[0], "command line: dlnfp sample needs -process, one of the processes of the run file");
  FPInputCheck(number[0], "command line: dlnfp sample needs -count, the number of points");
  count = strtol(number, &end, 10);
  FPInputCheck(!*end && count > 0 && count < PETSC_MAX_INT, "command line: -count %s is no number of points", number);
  PetscCall(LoadConfig("sample", argc, argv, &config));
  if (!dir[0]) PetscCall(DefaultDirectory(argv[0], sizeof(dir), dir));
  PetscCall(FPRunSample(config, process, (PetscInt)count, format, dir));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

static PetscErrorCode CheckFile(int argc, char *argv[])
{
  FPConfig config;

  PetscFunctionBegin;
  PetscCall(LoadConfig("check", argc, argv, &config));
  PetscCall(FPRunCheck(config));
  PetscCall(FPConfigDestroy(&config));
  printf("%s: valid\n", argv[0]);
  PetscFunctionReturn(0);
}

static PetscErrorCode ListCriticalPoints(int argc, char *argv[])
{
  FPConfig config;

  PetscFunctionBegin;
  PetscCall(LoadConfig("list critical_points", argc, argv, &config));
  PetscCall(FPRunListCriticalPoints(config, stdout));
  PetscCall(FPConfigDestroy(&config));
  PetscFunctionReturn(0);
}

/* argv: nothing (all lists), or a topic */
static PetscErrorCode List(int argc, char *argv[])
{
  static const struct {
    const char *topic;
    PetscErrorCode (*list)(FILE *out);
  } lists[]       = {{"data", FPDataList},
                     {"models", FPModelList},
                     {"processes", FPProcessList},
                     {"engines", FPRunListEngines},
                     {"observables", FPRunListObservables},
                     {"regions", FPRegionList},
                     {"keys", FPRunListKeys}};
  PetscBool found = PETSC_FALSE;

  PetscFunctionBegin;
  if (argc > 0 && !strcmp(argv[0], "critical_points")) {
    PetscCall(ListCriticalPoints(argc - 1, argv + 1));
    PetscFunctionReturn(0);
  }
  FPInputCheck(argc < 2, "command line: stray word \"%s\" after dlnfp list %s", argv[1], argv[0]);
  for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
    if (argc > 0 && strcmp(argv[0], lists[i].topic)) continue;
    if (argc == 0) printf("%s%s:\n", i ? "\n" : "", lists[i].topic);
    PetscCall(lists[i].list(stdout));
    found = PETSC_TRUE;
  }
  FPInputCheck(found,
               "command line: dlnfp list %s is not one of: data, models, processes, engines, observables, "
               "regions, keys, critical_points",
               argv[0]);
  PetscFunctionReturn(0);
}

/* argv: command and its words */
static PetscErrorCode Run(int argc, char *argv[], PetscInt *disagreements)
{
  PetscMPIInt size;

  PetscFunctionBegin;
  PetscCallMPI(MPI_Comm_size(PETSC_COMM_WORLD, &size));
  FPInputCheck(size == 1, "started on %d MPI ranks; dlnfp runs on one process and uses threads (OMP_NUM_THREADS)",
               size);
  if (!strcmp(argv[0], "run"))
    PetscCall(RunFile(argc - 1, argv + 1, disagreements));
  else if (!strcmp(argv[0], "sweep"))
    PetscCall(SweepFile(argc - 1, argv + 1, disagreements));
  else if (!strcmp(argv[0], "sample"))
    PetscCall(SampleFile(argc - 1, argv + 1));
  else if (!strcmp(argv[0], "check"))
    PetscCall(CheckFile(argc - 1, argv + 1));
  else if (!strcmp(argv[0], "list"))
    PetscCall(List(argc - 1, argv + 1));
  else
    FPInputError("command line: %s is not one of: run, sweep, sample, check, list, --version, --help", argv[0]);
  PetscFunctionReturn(0);
}

/* Words of a PETSc option that dlnfp passes on, starting at argv[0]: 0, 1 or 2. */
static int CountPetscWords(int argc, char *argv[])
{
  const char *next = argc > 1 ? argv[1] : "";

  if (!strcmp(argv[0], "-log_view") || !strcmp(argv[0], "-info")) return next[0] == ':' ? 2 : 1;
  if (!strcmp(argv[0], "-citations")) return next[0] && next[0] != '-' ? 2 : 1;
  if (!strcmp(argv[0], "-objects_dump")) return strcmp(next, "all") ? 1 : 2;
  return !strcmp(argv[0], "-malloc_dump");
}

/* Sorts the words into PETSc's (theirs[0] is the program) and ours; both arrays have room for all. */
static void SplitWords(int argc, char *argv[], int *petsc, char *theirs[], int *own, char *ours[])
{
  theirs[(*petsc)++] = argv[0];
  for (int i = 1; i < argc; i++) {
    int words = CountPetscWords(argc - i, argv + i);

    if (!words) ours[(*own)++] = argv[i];
    for (; words > 0; words--) theirs[(*petsc)++] = argv[words > 1 ? i++ : i];
  }
}

/* Started without mpiexec, Open MPI sets up a daemon and network drivers that one process never uses: 0.4 s a start,
   0.1 s without them. Its folders in /tmp are shared by all programs of a user and removed by the last that leaves, so
   that one in a hundred programs started beside others failed to start. What the user has set stays. */
static int SetAlone(void)
{
  if (getenv("OMPI_COMM_WORLD_SIZE")) return 0;
  return setenv("OMPI_MCA_ess_singleton_isolated", "1", 0) || setenv("OMPI_MCA_pml", "ob1", 0) ||
         setenv("OMPI_MCA_btl", "self", 0) || setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
}

static int Start(int petsc, char *theirs[], int own, char *ours[])
{
  PetscErrorCode ierr, end;
  PetscInt       disagreements = 0;
  Failure        failure       = {PETSC_FALSE, ""};

  if (SetAlone()) return EXIT_FAILED;
  ierr = PetscOptionsSetValue(NULL, "-skip_petscrc", NULL); /* no stray .petscrc changes a run */
  if (!ierr) ierr = SlepcInitialize(&petsc, &theirs, NULL, NULL);
  if (ierr) return EXIT_FAILED;
  (void)signal(SIGPIPE, SIG_DFL); /* "dlnfp list | head" just ends */
  ierr = PetscPushErrorHandler(HandleError, &failure);
  if (!ierr) ierr = Run(own, ours, &disagreements);
  (void)fflush(stdout);
  if (ierr)
    (void)PetscFPrintf(PETSC_COMM_WORLD, PETSC_STDERR, "dlnfp: %s%s\n",
                       failure.input ? "" : "a computation failed: ", failure.message);
  (void)PetscPopErrorHandler();
  end = SlepcFinalize();
  if (ierr) return failure.input ? EXIT_INPUT : EXIT_FAILED;
  if (end) return EXIT_FAILED;
  return disagreements ? EXIT_DISAGREE : EXIT_DONE;
}

int main(int argc, char **argv)
{
  char **theirs, **ours;
  int    petsc = 0, own = 0, code;

  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];

    if (!strcmp(word, "--help") || !strcmp(word, "-help") || !strcmp(word, "-h")) return printf("%s", Usage) < 0;
    if (!strcmp(word, "--version") || !strcmp(word, "-version")) return printf("dlnfp " FP_VERSION "\n") < 0;
  }
  theirs = calloc((size_t)argc + 1, sizeof(char *));
  ours   = calloc((size_t)argc + 1, sizeof(char *));
  if (!theirs || !ours) return EXIT_FAILED;
  SplitWords(argc, argv, &petsc, theirs, &own, ours);
  if (own) {
    code = Start(petsc, theirs, own, ours);
  } else {
    (void)fputs(Usage, stderr);
    code = EXIT_INPUT;
  }
  free(theirs);
  free(ours);
  return code;
}
