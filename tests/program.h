/* program.h: starts the program itself: bin/dlnfp, or what DLNFP names. */
#ifndef FPTESTPROGRAM_H
#define FPTESTPROGRAM_H
#include "folder.h"
#include "rows.h"
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

/* argv[0] is replaced by the program; stderr goes to folder/errors, stdout to folder/output. */
static inline pid_t StartProgram(const char *const argv[])
{
  const char                *program = getenv("DLNFP") ? getenv("DLNFP") : "bin/dlnfp";
  posix_spawn_file_actions_t actions;
  pid_t                      pid;

  must(posix_spawn_file_actions_init(&actions));
  must(posix_spawn_file_actions_addopen(&actions, 1, InFolder("output"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  must(posix_spawn_file_actions_addopen(&actions, 2, InFolder("errors"), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  must(posix_spawn(&pid, program, &actions, NULL, (char *const *)argv, environ));
  must(posix_spawn_file_actions_destroy(&actions));
  return pid;
}

/* Exit code, or 128 + signal */
static inline int EndProgram(pid_t pid)
{
  int status;

  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int RunProgram(const char *const argv[])
{
  return EndProgram(StartProgram(argv));
}

/* The same by one line, formatted as by printf(): words separated by blanks, without the program. */
static inline int RunWords(const char *format, ...)
{
  char        line[2048], *rest = line;
  const char *argv[64] = {"dlnfp"};
  int         n        = 1;
  va_list     args;

  va_start(args, format);
  assert_true(vsnprintf(line, sizeof(line), format, args) < (int)sizeof(line));
  va_end(args);
  for (char *word = strtok_r(rest, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    assert_true(n < 63);
    argv[n++] = word;
  }
  return RunProgram(argv);
}

static inline char *ReadText(const char *path)
{
  static char text[4096];
  FILE       *f = fopen(path, "r");
  size_t      n = 0;

  if (f) n = fread(text, 1, sizeof(text) - 1, f);
  if (f) (void)fclose(f);
  text[n] = 0;
  return text;
}

/* Such a line that has to end well */
#define Runs(...) check(RunWords(__VA_ARGS__) == 0, "%s", ReadText(InFolder("errors")))

/* Bad input: exit code 2, one line on stderr that has the word in it. */
static inline void Refused(const char *const argv[], const char *word)
{
  const int   code = RunProgram(argv);
  const char *said = ReadText(InFolder("errors"));

  check(code == 2, "%s: exit code %d, not 2: %s", word, code, said);
  check(strchr(said, '\n') && !strchr(said, '\n')[1], "%s: not one line: %s", word, said);
  check(strstr(said, word), "not said: %s; but: %s", word, said);
}
#endif
