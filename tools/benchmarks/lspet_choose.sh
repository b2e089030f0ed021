#!/usr/bin/env bash
# What makes HSJP work: pretrains variants of it on LSPET's fit set, fine-tunes backbone and
# deconvolutions of each on 5 % of the labels, and evaluates on the select set (never on
# the test set). Run it in a folder with data/lspet as configs/hsjp/README.md says; it goes
# on where it stopped.
#   bash tools/benchmarks/lspet_choose.sh [VARIANT ...]
# Variants: scratch (random weights), default (the config), backbone (default without its
# deconvolutions), 24e (sixteen more epochs from default's weights), stock (augmentation),
# 2x2, 4x4, 8x6 (grids), gap, color, sigma2. In the environment: SEEDS (0 1), of
# fine-tuning.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
train=train_dataloader.dataset.pipeline
val=val_dataloader.dataset.pipeline
base=hsjp_res18_1xb32-8e_lspet-fit-128x96
workers="train_dataloader.num_workers=1 val_dataloader.num_workers=1"

grid() { # ROWS COLS
  printf '%s\n' "model.head.out_channels=$(($1 * $2))" "model.head.decoder.grid=[$1,$2]" \
    "$train.5.grid=[$1,$2]" "$train.6.encoder.grid=[$1,$2]" "$val.3.grid=[$1,$2]"
}

options() { # VARIANT
  case $1 in
    default) ;;
    stock) printf '%s\n' "$train.3.rotate_factor=80" "$train.3.scale_factor=[0.5,1.5]" ;;
    2x2 | 4x4 | 8x6) grid "${1%x*}" "${1#*x}" ;;
    gap) printf '%s\n' "+$train.5.gap=4" "+$train.5.jitter=3" "+$val.3.gap=4" ;;
    color) printf '%s\n' "+$train.5.color_jitter=0.3" ;;
    sigma2) printf '%s\n' model.head.decoder.sigma=2 "$train.6.encoder.sigma=2" ;;
    24e)
      printf '%s\n' train_cfg.max_epochs=16 param_scheduler.0.T_max=16
      # only where it begins: MMEngine would resume from load_from
      [ -f work_dirs/choose/24e/last_checkpoint ] ||
        printf '%s\n' resume=False load_from=work_dirs/choose/default/backbone.pth
      ;;
    *) echo "unknown variant $1" >&2 && return 1 ;;
  esac
}

pretrain() { # VARIANT, to work_dirs/choose/VARIANT/backbone.pth
  local folder=work_dirs/choose/$1 found changed=()
  found=$(options "$1") # a misspelt one ends the script
  [ ! -f "$folder/backbone.pth" ] || return 0
  [ "$1" != 24e ] || pretrain default
  [ -z "$found" ] || mapfile -t changed <<< "$found"
  # shellcheck disable=SC2086
  python "$root/tools/train.py" "$base" --work-dir "$folder" --resume \
    --cfg-options $workers train_cfg.val_interval=2 default_hooks.logger.interval=20 \
    "${changed[@]}"
  python "$root/tools/model_converters/extract_backbone.py" \
    "$folder/$(basename "$(cat "$folder/last_checkpoint")")" "$folder/backbone.pth" \
    --with-deconv
}

for variant in "${@:-default}"; do
  case $variant in
    scratch)
      init=scratch
      ;;
    backbone)
      pretrain default
      init=backbone=work_dirs/choose/default/backbone.pth
      ;;
    *)
      pretrain "$variant"
      init="$variant=work_dirs/choose/$variant/backbone.pth --with-deconv $variant"
      ;;
  esac
  # shellcheck disable=SC2086
  python "$root/tools/benchmarks/label_efficiency.py" run \
    "$root/configs/hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-128x96.py" \
    --study work_dirs/lspet_choose --purpose choose --fractions 0.05 --iterations 200 \
    --evaluations 2 --seeds ${SEEDS:-0 1} --init $init \
    --cfg-options $workers train_dataloader.dataset.ann_file=lspet_fit.json \
    val_dataloader.dataset.ann_file=lspet_select.json \
    val_dataloader.dataset.data_prefix.img=train/
done
