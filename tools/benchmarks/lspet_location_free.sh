#!/usr/bin/env bash
# The study of Location-Free on LSPET: trains the models of the tables in
# configs/location_free/STUDY.md and copies their results there. Run it in the root of
# the repository, with data/lspet and an HSJP backbone as configs/hsjp/STUDY.md says; it
# goes on where it stopped.
#   bash tools/benchmarks/lspet_location_free.sh BACKBONE.pth TABLE [ROW ...]
# With {seed} in BACKBONE.pth each seed starts from its own (lspet_hsjp.sh pretrain).
# Tables: ablation, budget, locations. Rows: names as below (default: all).
# ITERATIONS (1000), SEEDS (0 1 2), PURPOSE (report; choose evaluates on the select set and
# copies nothing), JOBS (1), OPTIONS (more --cfg-options of all runs) and RESULTS (TABLE;
# the name of the table's folder, another for each backbone and length) can be set in
# the environment. The budget's rows with four windows are links to the ablation's: run
# those first, with the same RESULTS but for ablation in place of budget.
set -euo pipefail
backbone=$1 table=$2
shift 2
rows=("$@")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
configs=$root/configs/location_free
tail=res18_1xb8-14e_lspet-fit-128x96.py
cam=$configs/locfree-cam_$tail
full=$configs/locfree_$tail
augmented=$configs/locfree_res18_augmented_${tail#res18_}
stock=$root/configs/hsjp/benchmarks/td-hm_res18_scratch_1xb8-14e_lspet-fit-128x96.py
purpose=${PURPOSE:-report}
results=${RESULTS:-$table}
train=train_dataloader.dataset.pipeline
windows=$train.2
# both networks get the same augmentation: half bodies are cut out by places, which
# Location-Free has not; and only the third table has rotation, scale and shift
whole_bodies=+$train.3.prob=0
flips="$whole_bodies +$train.4.rotate_prob=0 +$train.4.scale_prob=0 +$train.4.shift_prob=0"

wanted() { # NAME
  [ ${#rows[@]} -eq 0 ] || [[ " ${rows[*]} " == *" $1 "* ]]
}

row() { # NAME CONFIG [OPTIONS OF label_efficiency.py ...] [-- CONFIG OPTIONS ...]
  local name=$1 config=$2 more=()
  local init=(--init "hsjp=$backbone" --with-deconv hsjp)
  shift 2
  wanted "$name" || return 0
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    if [ "$1" = --scratch ]; then init=(--init scratch); else more+=("$1"); fi
    shift
  done
  [ $# -eq 0 ] || shift
  local study=work_dirs/location_free_$purpose/$results/$name
  # shellcheck disable=SC2086
  python "$root/tools/benchmarks/label_efficiency.py" run "$config" --study "$study" \
    --purpose "$purpose" --fractions 1 --seeds ${SEEDS:-0 1 2} --evaluations 2 \
    --iterations "${ITERATIONS:-1000}" --jobs "${JOBS:-1}" "${init[@]}" "${more[@]}" \
    --cfg-options train_dataloader.num_workers=1 val_dataloader.num_workers=1 \
    ${OPTIONS:-} "$@"
  if [ "$purpose" = report ]; then
    mkdir -p "$configs/results/$results/$name"
    cp "$study"/results/*.json "$configs/results/$results/$name"
  fi
}

constant() { # NAME POSE
  [ "$purpose" = report ] && wanted "$1" || return 0
  mkdir -p "$configs/results/$results/$1"
  python "$root/tools/benchmarks/constant_pose.py" "$full" --pose "$2" --force \
    --out "$configs/results/$results/$1/0.json"
}

budget() { # NAME CONFIG BUDGET WINDOWS [CONFIG OPTIONS ...]
  local name=$1 config=$2 kind=$3 number=$4
  shift 4
  row "$name" "$config" -- "$windows.budget=$kind" "$windows.num_windows=$number" "$@"
}

same() { # NAME ROW OF THE ABLATION, whose runs are of the same recipe
  local folder=${results/budget/ablation}/$2
  [ "$purpose" = report ] && wanted "$1" || return 0
  if [ ! -d "$configs/results/$folder" ]; then
    echo "$1 is left out: run $2 of the ablation first, with RESULTS=${folder%/*}" >&2
    return 0
  fi
  mkdir -p "$configs/results/$results"
  ln -sfn "../$folder" "$configs/results/$results/$1"
}

# of the poolings of activation maps, the one that the select set was for (STUDY.md)
topk=model.head.cam.pooling=topk
mass=model.head.cam.pooling=mass
joint="$mass +model.head.window_loss.type=mmpose_pretext.JointWindowLoss"
over_all="+model.head.place_loss.type=mmpose_pretext.PlaceCrossEntropyLoss \
  +model.head.place_loss.average=all"
case $table in
  ablation)
    constant 00_a-random-place random
    constant 00_always-the-median-pose median
    row 01_CAM "$cam" -- $topk
    row 02_CAM_context "$full" -- $topk model.head.prototypes=None
    row 03_CAM_context_prototypes "$full" -- $topk +model.head.prototypes.relation=none
    row 04_CAM_context_prototypes_relation "$full" -- $topk
    row 05_mass "$cam" -- $mass
    row 06_mass_context_prototypes_relation "$full" -- $mass
    row 07_joint-mass "$cam" -- $joint
    row 08_joint-mass_context "$full" -- $joint model.head.prototypes=None
    row 09_joint-mass_context_prototypes "$full" -- $joint +model.head.prototypes.relation=none
    row 10_joint-mass_context_prototypes_relation "$full" -- $joint
    row 11_joint-mass_context_prototypes_relation_from-random-weights "$full" --scratch -- $joint
    ;;
  budget)
    budget 01_CAM_strict_14-answers "$full" strict 0 $topk
    budget 02_CAM_1-window_28-answers "$full" windows 1 $topk
    same 03_CAM_4-windows_70-answers 04_CAM_context_prototypes_relation
    budget 04_CAM_16-windows_238-answers "$full" windows 16 $topk
    budget 05_CAM_unlimited-windows_oracle "$full" unlimited 4 $topk
    budget 06_joint-mass_strict_14-answers "$full" strict 0 $joint
    budget 07_joint-mass_1-window_28-answers "$full" windows 1 $joint
    same 08_joint-mass_4-windows_70-answers 10_joint-mass_context_prototypes_relation
    budget 09_joint-mass_16-windows_238-answers "$full" windows 16 $joint
    budget 10_joint-mass_unlimited-windows_oracle "$full" unlimited 4 $joint
    row 11_stock-network_all-places "$stock" -- $flips
    ;;
  locations)
    row 00_no-places_presence-of-all "$augmented" -- $joint
    number=0
    rank() { printf '%02d' $((number + $1)); }
    for percent in 5 10 25; do
      fraction=$(awk "BEGIN { print $percent / 100 }")
      # half of what is seen has places, however few those are
      row "$(rank 1)_$percent%-of-the-places_presence-of-all" "$augmented" \
        --fractions "$fraction" --keep-rest --located-share 0.5 -- $joint
      row "$(rank 2)_$percent%-of-the-places_same-network" "$augmented" \
        --fractions "$fraction" -- $mass +model.head.presence_loss=None \
        "+$windows.keep_locations=True"
      row "$(rank 3)_$percent%-of-the-places_stock-network" "$stock" \
        --fractions "$fraction" -- "$whole_bodies"
      number=$((number + 3))
    done
    row 10_all-places_same-network "$augmented" -- $mass +model.head.presence_loss=None \
      "+$windows.keep_locations=True"
    row 11_all-places_stock-network "$stock" -- "$whole_bodies"
    row 12_25%-of-the-places_presence-of-all_not-joint_each-person-as-often "$augmented" \
      --fractions 0.25 --keep-rest -- $mass
    row 13_25%-of-the-places_presence-of-all_each-person-as-often "$augmented" \
      --fractions 0.25 --keep-rest -- $joint
    row 14_25%-of-the-places_16-windows-of-all_each-person-as-often "$augmented" \
      --fractions 0.25 --keep-rest -- $joint "$windows.num_windows=16"
    row 15_5%-of-the-places_presence-of-all_each-person-as-often "$augmented" \
      --fractions 0.05 --keep-rest -- $joint
    row 16_5%-of-the-places_presence-of-all_each-person-as-often_averaged-over-all \
      "$augmented" --fractions 0.05 --keep-rest -- $joint $over_all
    row 17_25%-of-the-places_presence-of-all_each-person-as-often_averaged-over-all \
      "$augmented" --fractions 0.25 --keep-rest -- $joint $over_all
    ;;
  *) echo "TABLE must be ablation, budget or locations, but is '$table'" >&2 && exit 2 ;;
esac
