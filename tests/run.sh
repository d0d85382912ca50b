#!/bin/bash
# run.sh LOGS ITEM...: run test programs (cmocka), scripts (.py) and notebooks (.ipynb), one for each core at a time; one
# line for each with its time, the whole output of those that fail, and "N passed, N failed" at the end. Exit 1 if any
# failed. A script counts as one test unless it prints "N passed, N failed" itself; so does a notebook.
set -u
logs=$1
shift
mkdir -p "$logs"
python=${PYTHON:-/usr/bin/python3}
limit=${TEST_LIMIT:-900} # seconds for each item
cores=$(nproc 2>/dev/null || echo 1)
at_once=${TEST_JOBS:-$cores}
threads=$((cores / at_once))
export OMP_NUM_THREADS=$((threads > 0 ? threads : 1))

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

# The verdict on one item, printed as a whole; its counts to LOG.count.
judge() {
  local name log begin code seconds own good bad
  name=$(basename "$1")
  log=$logs/$name.log
  begin=$(date +%s.%N)
  run_item "$1" >"$log" 2>&1 </dev/null
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
    case $1 in *.py | *.ipynb) good=1 ;; esac
  fi
  good=${good:-0}
  bad=${bad:-0}
  if [ "$bad" -eq 0 ] && { [ $code -ne 0 ] || [ "$good" -eq 0 ]; }; then bad=1; fi # a crash, or nothing ran
  echo "$good $bad" >"$log.count"
  {
    flock 9
    printf '%-28s %4d passed %4d failed %8s s\n' "$name" "$good" "$bad" "$seconds"
    if [ "$bad" -gt 0 ]; then
      [ $code -eq 124 ] && echo "    stopped after $limit s"
      [ $code -gt 128 ] && echo "    killed by signal $((code - 128))"
      sed 's/^/    /' "$log"
    fi
  } 9>"$logs/lock"
}

for item in "$@"; do
  rm -f "$logs/$(basename "$item").log.count"
  while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
  judge "$item" &
done
wait
passed=0
failed=0
for item in "$@"; do
  read -r good bad <"$logs/$(basename "$item").log.count" || { good=0 bad=1; }
  passed=$((passed + good))
  failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
