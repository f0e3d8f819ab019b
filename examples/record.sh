#!/bin/sh
# Records a run of both example workflows anew, into examples/recorded. From the project's root:
#
#     sh examples/record.sh
set -eu
for example in identity_unification supplier_reach; do
    rm -rf "examples/recorded/$example" .dwx/recording
    dwx run "examples/$example" --local .dwx/recording/warehouse --run-root .dwx/recording/runs \
        --prompt-timeout 0 --stdout attention < /dev/null
    mkdir -p "examples/recorded/$example"
    for kept in events.jsonl artifacts; do
        cp -R .dwx/recording/runs/r-*/"$kept" "examples/recorded/$example/"
    done
done
rm -rf .dwx/recording
