#!/usr/bin/env bash
# What makes HSJP work: pretrains variants of it on LSPET's fit set, fine-tunes each on
# 5 % of the labels, and evaluates on the select set (never on the test set). Run it in a
# folder with data/lspet as configs/hsjp/README.md says; it goes on where it stopped.
#   bash tools/benchmarks/lspet_choose.sh [VARIANT ...]
# Variants: default (the config), stock, 2x2, 4x4, 8x6, gap, color, sigma2, 16e.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
train=train_dataloader.dataset.pipeline
val=val_dataloader.dataset.pipeline
base=hsjp_res18_1xb32-8e_lspet-fit-128x96

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
    16e) printf '%s\n' train_cfg.max_epochs=16 param_scheduler.0.T_max=16 ;;
    *) echo "unknown variant $1" >&2 && return 1 ;;
  esac
}

for variant in "${@:-default}"; do
  folder=work_dirs/choose/$variant
  found=$(options "$variant") # a misspelt one ends the script
  changed=()
  [ -z "$found" ] || mapfile -t changed <<< "$found"
  if [ ! -f "$folder/backbone.pth" ]; then
    python "$root/tools/train.py" "$base" --work-dir "$folder" --resume \
      --cfg-options train_dataloader.num_workers=1 val_dataloader.num_workers=1 \
      train_cfg.val_interval=2 default_hooks.logger.interval=20 "${changed[@]}"
    last=$(basename "$(cat "$folder/last_checkpoint")")
    python "$root/tools/model_converters/extract_backbone.py" "$folder/$last" \
      "$folder/backbone.pth" --with-deconv
  fi
  python "$root/tools/benchmarks/label_efficiency.py" run \
    "$root/configs/hsjp/benchmarks/td-hm_res18_scratch_1xb32-14e_lspet-fit-128x96.py" \
    --study work_dirs/lspet_choose --purpose choose --init scratch \
    "$variant=$folder/backbone.pth" --fractions 0.05 --seeds 0 1 --iterations 300 \
    --evaluations 2 --cfg-options train_dataloader.num_workers=1 \
    val_dataloader.num_workers=1
done
