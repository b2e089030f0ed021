#!/usr/bin/env bash
# The study of HSJP on LSPET: pretrains on the fit set, fine-tunes on a part of its labels,
# and copies the results to configs/hsjp/results. Run it in a folder with data/lspet as
# configs/hsjp/STUDY.md says; it goes on where it stopped.
#   bash tools/benchmarks/lspet_hsjp.sh choose [VARIANT ...]
#   bash tools/benchmarks/lspet_hsjp.sh report [INIT ...]
#   bash tools/benchmarks/lspet_hsjp.sh pretrain [INIT ...]
# choose: variants of the pretraining, all of EPOCHS (3) epochs, fine-tuned on 5 % of the
#   labels and evaluated on the select set, never on the test set. scratch (random
#   weights), default (the config), backbone (default without its deconvolutions),
#   stock (augmentation), 2x2, 4x4, 8x6 (grids), gap, color, sigma1, sigma2.
# report: on the test set. scratch, equal-compute and equal-compute-24e (random weights
#   that train for the iterations of the pretraining on top), hsjp (the config, with its
#   deconvolutions, of its 8 epochs), hsjp-backbone (without them), hsjp-16e (16 epochs of
#   one schedule), hsjp-24e (16 more epochs, from the weights of the 8, with the learning
#   rate begun anew), permutation and rotation (the classic pretexts, in the same batches),
#   permutation-24e (as hsjp-24e), or NAME=FILE, a backbone of a peer.
# pretrain: hsjp, hsjp-16e or hsjp-24e (default) anew with each of SEEDS, and nothing else,
#   to work_dirs/lspet_hsjp/seed{seed}/24e-16e/backbone.pth (hsjp: default-8e, hsjp-16e:
#   default-16e), a path that lspet_location_free.sh takes as it stands.
# In the environment: NETWORK (res18 at 128x96; res50 and hrnet-w32 at 256x192, of which
# scratch, equal-compute, hsjp, a peer's NAME=FILE and, of res50, hsjp-backbone are to be
# had: HRNet has no deconvolutions), SEEDS (choose: 0 1; else 0 1 2) of fine-tuning,
# FRACTIONS (0.05), ITERATIONS (800) of fine-tuning, STUDY (lspet_choose, lspet_report,
# with _NETWORK behind it if that is not res18), its name: one has one length; JOBS (1),
# and OPTIONS, more --cfg-options of all runs
# ('+optim_wrapper.type=mmpose_pretext.CPUAmpOptimWrapper' is what was run on the CPU,
# '+optim_wrapper.type=AmpOptimWrapper' on a GPU).
set -euo pipefail
step=${1:?choose, report or pretrain}
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
network=${NETWORK:-res18}
size=256x192 suffix=_$network
case $network in
  res18) size=128x96 suffix= ;;
  res50 | hrnet-w32) ;;
  *) echo "NETWORK must be res18, res50 or hrnet-w32, but is '$network'" >&2 && exit 2 ;;
esac
if [ "$step" != report ] && [ "$network" != res18 ]; then
  echo "lspet_hsjp.sh: $step is for NETWORK=res18 only" >&2
  exit 2
fi
for init; do
  case $network-$init in
    res18-* | *-scratch | *-equal-compute | *-hsjp | res50-hsjp-backbone | *=*) ;;
    *) echo "lspet_hsjp.sh: $init is not there for NETWORK=$network" >&2 && exit 2 ;;
  esac
done
work=work_dirs/lspet_hsjp$suffix
seed=0 # of the pretraining
deconv=--with-deconv
[ "$network" != hrnet-w32 ] || deconv= # it has none
train=train_dataloader.dataset.pipeline
val=val_dataloader.dataset.pipeline
epoch=536 # iterations
workers="train_dataloader.num_workers=1 val_dataloader.num_workers=1 ${OPTIONS:-}"

grid() { # ROWS COLS
  printf '%s\n' "model.head.out_channels=$(($1 * $2))" "model.head.decoder.grid=[$1,$2]" \
    "$train.5.grid=[$1,$2]" "$train.6.encoder.grid=[$1,$2]" "$val.3.grid=[$1,$2]"
}

options() { # VARIANT
  case $1 in
    default) [ "$seed" = 0 ] || printf '%s\n' "randomness.seed=$((2 * seed))" ;;
    stock) printf '%s\n' "$train.3.rotate_factor=80" "$train.3.scale_factor=[0.5,1.5]" ;;
    2x2 | 4x4 | 8x6) grid "${1%x*}" "${1#*x}" ;;
    gap) printf '%s\n' "+$train.5.gap=4" "+$train.5.jitter=3" "+$val.3.gap=4" ;;
    color) printf '%s\n' "+$train.5.color_jitter=0.3" ;;
    24e) # the seed is for other puzzles than those of the first epochs
      printf '%s\n' "load_from=$work/default-8e/backbone.pth" \
        "randomness.seed=$((2 * seed + 1))"
      ;;
    permutation-24e) # as 24e, with the head: no key of backbone.pth would fit the model
      printf '%s\n' "load_from=$work/permutation-8e/epoch_8.pth" randomness.seed=1
      options permutation
      ;;
    permutation | rotation)
      printf '%s\n' train_dataloader.dataset.ann_file=lspet_fit.json \
        val_dataloader.dataset.ann_file=lspet_select.json \
        val_dataloader.dataset.data_prefix.img=train/ train_dataloader.batch_size=8 \
        optim_wrapper.optimizer.lr=5e-4 +optim_wrapper.optimizer.fused=True
      [ "$1" = rotation ] || # the milder augmentation of HSJP's config of the study
        printf '%s\n' "+$train.3.rotate_factor=40" "+$train.3.scale_factor=[0.75,1.25]"
      ;;
    sigma1 | sigma2)
      printf '%s\n' "model.head.decoder.sigma=${1#sigma}" "$train.6.encoder.sigma=${1#sigma}"
      ;;
    *) echo "lspet_hsjp.sh: unknown variant $1" >&2 && return 1 ;;
  esac
}

pretrain() { # VARIANT EPOCHS, to $work/VARIANT-EPOCHSe/backbone.pth
  local folder=$work/$1-$2e found changed=() resume=
  local base=hsjp_${network}_1xb8-8e_lspet-fit-$size deconv=$deconv
  case $1 in
    permutation* | rotation) base=${1%-24e}_res18_1xb32-8e_lspet-128x96 deconv= ;;
  esac
  found=$(options "$1") # a misspelt one ends the script
  [ ! -f "$folder/backbone.pth" ] || return 0
  [ -z "$found" ] || mapfile -t changed <<< "$found"
  if [ -f "$folder/last_checkpoint" ]; then
    resume=--resume
    changed+=(load_from=None) # or MMEngine resumes from that file
  fi
  # shellcheck disable=SC2086
  python "$root/tools/train.py" "$base" --work-dir "$folder" $resume \
    --cfg-options $workers train_cfg.val_interval=2 default_hooks.logger.interval=100 \
    "train_cfg.max_epochs=$2" "param_scheduler.0.T_max=$2" "${changed[@]}"
  # shellcheck disable=SC2086
  python "$root/tools/model_converters/extract_backbone.py" \
    "$folder/$(basename "$(cat "$folder/last_checkpoint")")" "$folder/backbone.pth" $deconv
}

pretrain_hsjp() { # INIT, to $backbone
  case $1 in
    hsjp) set -- default 8 ;;
    hsjp-16e) set -- default 16 ;;
    hsjp-24e)
      pretrain default 8
      set -- 24e 16
      ;;
    *) echo "lspet_hsjp.sh: pretrain takes hsjp, hsjp-16e, hsjp-24e, not $1" >&2 && exit 2 ;;
  esac
  pretrain "$1" "$2"
  backbone=$work/$1-$2e/backbone.pth
}

finetune() { # STUDY SEEDS OPTIONS OF label_efficiency.py ...
  local study=$1 seeds=$2
  shift 2
  # shellcheck disable=SC2086
  python "$root/tools/benchmarks/label_efficiency.py" run \
    "$root/configs/hsjp/benchmarks/td-hm_${network}_scratch_1xb8-14e_lspet-fit-$size.py" \
    --study "work_dirs/$study" --purpose "$step" --fractions ${FRACTIONS:-0.05} \
    --iterations "${ITERATIONS:-800}" --evaluations 2 --jobs "${JOBS:-1}" \
    --seeds $seeds "$@" --cfg-options $workers
  mkdir -p "$root/configs/hsjp/results/$study"
  cp "work_dirs/$study"/results/*.json "$root/configs/hsjp/results/$study"
}

case $step in
  choose)
    epochs=${EPOCHS:-3}
    [ $# -gt 0 ] || set -- scratch default backbone 2x2 4x4 8x6 gap color sigma1 sigma2
    for variant; do
      init=scratch
      if [ "$variant" = backbone ]; then
        pretrain default "$epochs"
        init=backbone=$work/default-${epochs}e/backbone.pth
      elif [ "$variant" != scratch ]; then
        pretrain "$variant" "$epochs"
        init="$variant=$work/$variant-${epochs}e/backbone.pth --with-deconv $variant"
      fi
      # shellcheck disable=SC2086
      finetune "${STUDY:-lspet_choose$suffix}" "${SEEDS:-0 1}" --init $init
    done
    ;;
  report)
    [ $# -gt 0 ] || set -- scratch hsjp ${deconv:+hsjp-backbone} equal-compute
    for init; do
      case $init in
        scratch | *=*) weights=$init ;;
        equal-compute) weights="scratch --equal-compute $((8 * epoch))" ;;
        equal-compute-24e) weights="scratch --equal-compute 24e=$((24 * epoch))" ;;
        hsjp | hsjp-backbone | hsjp-16e | hsjp-24e)
          pretrain_hsjp "${init%-backbone}"
          weights=$init=$backbone
          [ "$init" = hsjp-backbone ] || weights+=${deconv:+ $deconv $init}
          ;;
        permutation | rotation)
          pretrain "$init" 8
          weights=$init=$work/$init-8e/backbone.pth
          ;;
        permutation-24e)
          pretrain permutation 8
          pretrain permutation-24e 16
          weights=$init=$work/permutation-24e-16e/backbone.pth
          ;;
        *) echo "lspet_hsjp.sh: unknown initialization $init" >&2 && exit 2 ;;
      esac
      # shellcheck disable=SC2086
      finetune "${STUDY:-lspet_report$suffix}" "${SEEDS:-0 1 2}" --init $weights
    done
    ;;
  pretrain)
    [ $# -gt 0 ] || set -- hsjp-24e
    folder=$work
    for seed in ${SEEDS:-0 1 2}; do
      work=$folder/seed$seed
      for init; do
        pretrain_hsjp "$init"
      done
    done
    ;;
  *)
    echo "lspet_hsjp.sh: unknown step $step; choose, report or pretrain" >&2
    exit 2
    ;;
esac
