#!/usr/bin/env bash
# coverage.sh PERCENT: runs every test and fails when fewer than so many lines were reached. Chores, checks,
# benchmarks and drills are no part of the product.
set -euo pipefail

readonly least=${1:?usage: coverage.sh PERCENT}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mkdir -p target/coverage
cargo llvm-cov nextest --workspace --exclude conformance --no-fail-fast --no-report
cargo llvm-cov report --ignore-filename-regex '(^|/)(xtask|programs|conformance|bench|drills)/' --lcov --output-path target/coverage/lcov.info
cargo llvm-cov report --ignore-filename-regex '(^|/)(xtask|programs|conformance|bench|drills)/' --summary-only --fail-under-lines "$least" \
  | tee target/coverage/summary.txt
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
  awk -v least="$least" '$1 == "TOTAL" { print "Lines reached by tests: " $10 " (at least " least " %)" }' \
    target/coverage/summary.txt >>"$GITHUB_STEP_SUMMARY"
fi
