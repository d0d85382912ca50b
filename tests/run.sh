#!/bin/bash
# run.sh LOGS ITEM...: run test programs (cmocka), scripts (.py) and notebooks (.ipynb) one after another; one line for
# each with its time, the whole output of those that fail, and "N passed, N failed" at the end. Exit 1 if any failed.
# A script counts as one test unless it prints "N passed, N failed" itself; so does a notebook.
set -u
logs=$1
shift
mkdir -p "$logs"
python=${PYTHON:-/usr/bin/python3}
limit=${TEST_LIMIT:-900} # seconds for each item
passed=0
failed=0

run_item() {
  case $1 in
    *.py) timeout "$limit" "$python" "$1" ;;
    *.ipynb)
      PYDEVD_DISABLE_FILE_VALIDATION=1 timeout "$limit" /usr/bin/jupyter nbconvert --to notebook --execute \
        --ExecutePreprocessor.timeout="$limit" --output-dir "$logs" "$1"
      ;;
    *) timeout "$limit" "$1" ;;
  esac
}

# The sum of the numbers in front of " test(s)" in cmocka's summaries, nothing if there is none.
cmocka_count() {
  sed -n "s/^\[  $1  \] [^0-9]*\([0-9][0-9]*\) test(s).*/\1/p" "$2" | awk '{n += $1} END {if (NR) print n}'
}

for item in "$@"; do
  name=$(basename "$item")
  log=$logs/$name.log
  begin=$(date +%s.%N)
  run_item "$item" >"$log" 2>&1 </dev/null
  code=$?
  seconds=$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}')
  own=$(sed -n 's/^\([0-9][0-9]* passed, [0-9][0-9]* failed\)$/\1/p' "$log" | tail -n 1)
  good=$(cmocka_count PASSED "$log")
  bad=$(cmocka_count FAILED "$log")
  if [ -n "$own" ]; then
    good=${own%% *}
    bad=${own#*, }
    bad=${bad%% *}
  elif [ -z "$good$bad" ] && [ $code -eq 0 ]; then
    case $item in *.py | *.ipynb) good=1 ;; esac
  fi
  good=${good:-0}
  bad=${bad:-0}
  if [ "$bad" -eq 0 ] && { [ $code -ne 0 ] || [ "$good" -eq 0 ]; }; then bad=1; fi # a crash, or nothing ran
  printf '%-28s %4d passed %4d failed %8s s\n' "$name" "$good" "$bad" "$seconds"
  if [ "$bad" -gt 0 ]; then
    [ $code -eq 124 ] && echo "    stopped after $limit s"
    [ $code -gt 128 ] && echo "    killed by signal $((code - 128))"
    sed 's/^/    /' "$log"
  fi
  passed=$((passed + good))
  failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
