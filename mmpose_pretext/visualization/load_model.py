"""Networks to draw what they predict."""

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.apis import init_model
from torch import nn

from mmpose_pretext.transfer import match, model_tensors


def load_model(
    config: str, checkpoint: str, head: str, device: str = 'cpu'
) -> nn.Module:
    """Build a network and load all its weights.

    Args:
        config: Path of its configuration.
        checkpoint: Path of its checkpoint; averaged weights (EMA) are preferred.
        head: Name of the head that it must have.
        device: Where the network runs.

    Returns:
        The network, which has its configuration as ``cfg``.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the network has another head, or the checkpoint is damaged or
            does not fit.
    """
    for path in (config, checkpoint):
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} does not exist')
    cfg = Config.fromfile(config)
    found = (cfg.get('model', {}).get('head') or {}).get('type')
    if head not in str(found):
        raise ValueError(f'{config} has the head {found}, but this needs a {head}')
    model = init_model(cfg, device=device)
    weights = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', logger='silent')
    tensors = model_tensors(weights, ema='ema_state_dict' in weights)
    matched = match(tensors, model, claimed=True)
    if matched.coverage < 1:
        raise ValueError(f'{checkpoint} does not fit {config}: {matched.report()}')
    model.load_state_dict(tensors, strict=False)
    return model
