#!/usr/bin/env bash
# The gate in any CI: gate.sh MODEL IMAGES [further arguments of heatproof gate]
#
# HEATPROOF_REPORTS is the folder of the reports, heatproof-report by default, and
# HEATPROOF_BASELINE the baseline, heatproof-baseline.json by default and where there is one.
set -euo pipefail

[ "$#" -ge 2 ] || { echo "usage: gate.sh MODEL IMAGES [ARGUMENTS...]" >&2; exit 2; }
model=$1 images=$2
shift 2
command -v heatproof > /dev/null || { echo "error: heatproof is not on the path" >&2; exit 2; }

reports=${HEATPROOF_REPORTS:-heatproof-report}
mkdir -p "$reports"
rm -f "$reports"/report.{json,md,html} "$reports/junit.xml"
given=(--model "$model" --images "$images")
given+=(--json "$reports/report.json" --junit "$reports/junit.xml")
given+=(--markdown "$reports/report.md" --html "$reports/report.html")
if [ -n "${HEATPROOF_BASELINE:-}" ]; then
  given+=(--baseline "$HEATPROOF_BASELINE")
elif [ -f heatproof-baseline.json ]; then
  given+=(--baseline heatproof-baseline.json)
fi

code=0
heatproof gate "${given[@]}" "$@" || code=$?
case "$code" in
  0) echo "the model may ship" ;;
  1) echo "the model may not ship: $reports/report.html says why" ;;
  *) echo "there is no verdict: see above" ;;
esac
exit "$code"
