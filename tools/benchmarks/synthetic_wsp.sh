#!/usr/bin/env bash
# The study of WSP on synthetic people: pretrains by depth order and by its controls,
# fine-tunes poses in 3D from them, and copies the results to configs/wsp/results. Run it
# in the root of the repository, with data/synthetic_crowd as configs/wsp/STUDY.md says;
# it goes on where it stopped.
#   bash tools/benchmarks/synthetic_wsp.sh pretraining [METHOD ...]
#   bash tools/benchmarks/synthetic_wsp.sh poses [INIT ...]
#   bash tools/benchmarks/synthetic_wsp.sh probe [INIT ...]
# The last asks what pretrained networks tell of depth before any fine-tuning
# (depth_probe.py).
# Methods: wsp, heatmap, shuffled, ground, which is wsp with the labels of
# train_ground.json, coordinates (the config wsp-coordinates_*), coordinates-shuffled,
# which is that with shuffled labels, wsp-WEIGHT and shuffled-WEIGHT, which have that
# weight of the loss of depth (wsp-0.1), and limbs and limbs-true, which are wsp-0.1 with
# labels of limbs, of train_limbs.json or train_limbs-true.json, too, of a weight of 0.1
# (limbs-WEIGHT and limbs-true-WEIGHT: of that), and hsjp, jigsaw puzzles of as many crops
# of the same people. Inits: these, with their deconvolutions, scratch, and hsjp, with
# HSJP=BACKBONE.pth from there instead. Default: wsp, ground (not for poses), heatmap,
# shuffled, hsjp, scratch (poses only). In the environment: SEEDS (0 1 2), ITERATIONS (1000
# of pretraining, twice as many of half the batch for hsjp; 1600 of poses), EQUAL_COMPUTE
# (2000: iterations of poses that see as many images as a pretraining, on top for
# scratch-equal-compute, which comes with scratch; empty for none), FRACTIONS (0.01 0.05
# 0.25 1), JOBS (1), PURPOSE (report; choose evaluates on the val set and copies nothing),
# OPTIONS (more --cfg-options, as in configs/wsp/STUDY.md), PERSON_DEPTH (nearest; mean
# is a study of its own), SIZE (128; 256 pretrains with images of 256x256, four times the
# arithmetic, as a study of its own, from which no poses are fine-tuned), ROTATE (degrees
# up to which pretraining rotates images, instead of the config's; each is a study of its
# own), ZOOM (LEAST,MOST: pretraining sees windows of these shares of the image's side,
# moved by up to a quarter of it, instead of 0.8 to 1.25 and a tenth; each is a study of
# its own), GREY (anything: pretrained networks are judged once more with every image a
# uniform grey, as rows of their own; not for choose), and LOOK (dressed; painted is a
# study of its own, on the painted people of data/synthetic_painted_crowd, without flips,
# since their left and right differ in colour). SIZE, ROTATE, ZOOM, PERSON_DEPTH and GREY
# are not for hsjp, which sees crops of people and knows no depth.
set -euo pipefail
step=$1
shift
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
wsp=$root/configs/wsp
purpose=${PURPOSE:-report}
loaders=(train_dataloader val_dataloader test_dataloader)
common=$(printf '%s.num_workers=1 ' "${loaders[@]}")
case ${LOOK:-dressed} in
  dressed) look= ;;
  painted)
    look=-painted-crowd
    common+=$(printf '%s.dataset.data_root=data/synthetic_painted_crowd/ ' "${loaders[@]}")
    common+=+train_dataloader.dataset.pipeline.2.prob=0.0 # the flip
    ;;
  *) echo "synthetic_wsp.sh: LOOK is $LOOK; dressed or painted" >&2 && exit 2 ;;
esac
case ${SIZE:-128} in
  128) tail=res18_1xb16-8e_synthetic-128x128.py suffix= ;;
  256) tail=res18_1xb16-10e_synthetic-256x256.py suffix=-256x256 ;;
  *) echo "synthetic_wsp.sh: SIZE is $SIZE; 128 or 256" >&2 && exit 2 ;;
esac
person_depth=${PERSON_DEPTH:-nearest}
case $person_depth in
  nearest) depth= ;;
  mean) depth=-mean ;;
  *) echo "synthetic_wsp.sh: PERSON_DEPTH is $person_depth; nearest or mean" >&2 && exit 2 ;;
esac
view=${ROTATE:+-rotated-$ROTATE}${ZOOM:+-zoom-${ZOOM/,/-}}
if [ -n "${GREY:-}" ] && [ "$purpose" != report ]; then
  echo "synthetic_wsp.sh: GREY looks at the test set, so not with PURPOSE=$purpose" >&2
  exit 2
fi
work=work_dirs/wsp${look}_$purpose

benchmark() { # CONFIG STUDY ITERATIONS CONFIG_OPTIONS [OPTIONS OF label_efficiency.py ...]
  local config=$1 study=$2 iterations=$3 options=$4
  shift 4
  # shellcheck disable=SC2086
  python "$root/tools/benchmarks/label_efficiency.py" run "$config" --study "$study" \
    --purpose "$purpose" --iterations "$iterations" --evaluations 2 \
    --jobs "${JOBS:-1}" "$@" --cfg-options $common $options ${OPTIONS:-}
}

publish() { # STUDY NAME
  [ "$purpose" = report ] || return 0
  mkdir -p "$wsp/results/$2"
  cp "$1"/results/*.json "$wsp/results/$2"
}

trained() { # METHOD SEED: the folder of its pretraining
  local folder=pretraining$view$depth
  [ "$1" != hsjp ] || folder=pretraining # it has neither
  echo "$work/$folder/$1-$2/runs/scratch_100pct_seed$2"
}

last_checkpoint() { # FOLDER
  echo "$1/$(basename "$(cat "$1/last_checkpoint")")"
}

poses=$wsp/benchmarks/integral-pose3d_res18_scratch_1xb8-6e_synthetic-128x128.py

case $step in
  pretraining)
    crops=hsjp
    [ -z "$suffix$view$depth${GREY:-}" ] || crops=
    [ $# -gt 0 ] || set -- wsp ground heatmap shuffled $crops
    for method; do
      for seed in ${SEEDS:-0 1 2}; do
        study=$work/pretraining$suffix$view$depth/$method-$seed
        config=$wsp/benchmarks/wsp-${method%-[0-9]*}_$tail options=
        iterations=${ITERATIONS:-1000} table=pretraining$look$suffix$view$depth/2_$method
        case $method in
          wsp* | ground | limbs*) config=$wsp/wsp_$tail ;;&
          coordinates*) config=$wsp/wsp-coordinates_$tail ;;&
          ground) options=train_dataloader.dataset.ann_file=train_ground.json ;;
          limbs*)
            labels=${method%-[0-9]*} weight=0.1
            [ "$labels" = "$method" ] || weight=${method##*-}
            options="train_dataloader.dataset.ann_file=train_$labels.json"
            options+=' model.head.depth_loss.loss_weight=0.1 +model.head.depth_per_keypoint=True'
            options+=' +model.head.limb_loss.type=mmpose_pretext.RelativeDepthLoss'
            options+=" +model.head.limb_loss.loss_weight=$weight"
            ;;
          wsp-[0-9]* | shuffled-[0-9]*) options=model.head.depth_loss.loss_weight=${method#*-} ;;&
          # another shuffle, or the spread over seeds would not have it
          coordinates-shuffled) options=+train_dataloader.dataset.shuffle_relations=$seed ;;
          shuffled*) options+=" train_dataloader.dataset.shuffle_relations=$seed" ;;
          hsjp)
            if [ -z "$crops" ]; then
              echo 'synthetic_wsp.sh: SIZE, ROTATE, ZOOM, PERSON_DEPTH, GREY are not for hsjp' >&2
              exit 2
            fi
            config=$root/configs/hsjp/hsjp_res18_1xb8-2e_synthetic-128x128.py
            iterations=$((2 * iterations)) table=pretraining$look-hsjp/1_hsjp
            ;;
        esac
        [ "$method" = hsjp ] || options+=" +model.head.person_depth=$person_depth"
        options+="${ROTATE:+ train_dataloader.dataset.pipeline.1.rotate_factor=$ROTATE}"
        options+="${ZOOM:+ train_dataloader.dataset.pipeline.1.scale_factor=($ZOOM)}"
        options+="${ZOOM:+ train_dataloader.dataset.pipeline.1.shift_factor=0.25}"
        benchmark "$config" "$study" "$iterations" "$options" --init scratch \
          --fractions 1 --seeds "$seed" --keep-checkpoints
        publish "$study" "$table"
        name=scratch_100pct_seed$seed
        run=$study/runs/$name
        last=$(last_checkpoint "$run")
        [ -e "$run/backbone.pth" ] || python "$root/tools/model_converters/extract_backbone.py" \
          "$last" "$run/backbone.pth" --with-deconv
        grey=$wsp/results/${table}_grey-images/$name.json
        # anew each time, or the row might be of another network than the one it is beside
        [ -z "${GREY:-}" ] ||
          python "$root/tools/benchmarks/evaluate.py" "$study/configs/$name.py" "$last" \
            --out "$grey" --force --cfg-options 'model.data_preprocessor.std=[1e9,1e9,1e9]'
      done
    done
    ;;
  poses)
    [ $# -gt 0 ] || set -- scratch wsp heatmap shuffled hsjp
    for seed in ${SEEDS:-0 1 2}; do
      for init; do
        case $init in
          scratch)
            extra=${EQUAL_COMPUTE-2000}
            weights="scratch${extra:+ --equal-compute $extra}"
            ;;
          *)
            weights="$init=$(trained "$init" '{seed}')/backbone.pth --with-deconv $init"
            ;;&
          hsjp) [ -z "${HSJP:-}" ] || weights=hsjp=$HSJP ;;
        esac
        # shellcheck disable=SC2086
        benchmark "$poses" "$work/poses$view$depth" "${ITERATIONS:-1600}" "" --init $weights \
          --fractions ${FRACTIONS:-0.01 0.05 0.25 1} --seeds "$seed"
        publish "$work/poses$view$depth" "poses$look$view$depth"
      done
    done
    ;;
  probe)
    if [ "$purpose" != report ] || [ -n "$suffix" ]; then
      echo 'synthetic_wsp.sh: PURPOSE and SIZE are not for probe' >&2
      exit 2
    fi
    [ $# -gt 0 ] || set -- scratch wsp heatmap shuffled hsjp
    for seed in ${SEEDS:-0 1 2}; do
      for init; do
        weights= number=1
        if [ "$init" != scratch ]; then
          weights="--checkpoint $(last_checkpoint "$(trained "$init" "$seed")")" number=2
        fi
        # shellcheck disable=SC2086
        python "$root/tools/benchmarks/depth_probe.py" "$poses" $weights --seed "$seed" \
          --fractions ${FRACTIONS:-0.01 0.05} --force \
          --out "$wsp/results/probe$look$view$depth/${number}_$init/$seed.json" \
          --cfg-options $common
        [[ "$init" == @(scratch|hsjp) ]] ||
          python "$root/tools/benchmarks/depth_probe.py" "$wsp/wsp_$tail" $weights \
            --seed "$seed" --fractions ${FRACTIONS:-0.01 0.05} --force \
            --out "$wsp/results/metres$look$view$depth/2_$init/$seed.json" \
            --cfg-options $common +model.head.person_depth="$person_depth"
      done
    done
    ;;
  *)
    echo "synthetic_wsp.sh: unknown step $step; pretraining, poses or probe" >&2
    exit 2
    ;;
esac
