#!/bin/sh
# Classify many scenes with one model.
#
# Usage: batch.sh FOLDER OUTPUT_FOLDER [MODEL]
#
#   FOLDER         holds one subfolder a scene; the files in it are named after the options of `s2fin classify`:
#                  hsi.tif or msi.tif, and lidar.tif, dsm.tif, sar.tif or thermal.tif, as the model
#                  was trained with
#   OUTPUT_FOLDER  gets SCENE.tif and SCENE.gpkg of each scene; made if missing
#   MODEL          model file; without it, s2fin looks for ./model.s2fin, then for $S2FIN_MODEL
#
# A scene that fails does not stop the others. Maps that are there already are not made again but count as failed;
# set OVERWRITE=1 to replace them. The exit code is 0 if all scenes were classified, 1 if any failed, 2 for wrong usage.

set -u

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
folder=$1 output=$2 model=${3-}

if [ ! -d "$folder" ]; then
    echo "error: $folder is not a folder" >&2
    exit 2
fi
mkdir -p "$output" || exit 1
messages=$(mktemp) || exit 1
failures=$(mktemp) || exit 1
trap 'rm -f "$messages" "$failures"' EXIT
trap 'exit 130' INT TERM

good=0 bad=0
for scene in "$folder"/*/; do
    [ -d "$scene" ] || continue # no subfolder at all
    name=$(basename "$scene")
    set -- -o "$output/$name.tif"
    [ -z "$model" ] || set -- "$@" -m "$model"
    [ -z "${OVERWRITE-}" ] || set -- "$@" --overwrite
    for modality in hsi msi lidar dsm sar thermal; do
        [ ! -f "$scene$modality.tif" ] || set -- "$@" "--$modality" "$scene$modality.tif"
    done
    if s2fin classify -q "$@" 2>"$messages" </dev/null; then
        good=$((good + 1))
        echo "done    $name"
    else
        bad=$((bad + 1))
        echo "FAILED  $name"
        { printf '  %s: ' "$name"; grep -i '^error: ' "$messages" || tail -n 1 "$messages"; } >>"$failures"
    fi
    grep '^warning: ' "$messages" | sed 's/^/        /'
done

echo
echo "$good scenes classified, $bad failed"
cat "$failures"
if [ $((good + bad)) -eq 0 ]; then
    echo "error: $folder has no subfolders; each scene needs one" >&2
    exit 1
fi
[ "$bad" -eq 0 ]
