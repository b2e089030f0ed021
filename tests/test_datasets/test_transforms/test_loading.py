import io
import logging

import lmdb
import numpy as np
import pytest
from mmpose.datasets.transforms import LoadImage
from PIL import Image

from mmpose_pretext.datasets.transforms import LoadImageStrict


@pytest.fixture(params=['JPEG', 'PNG', 'BMP'])
def encoded(request):
    img = np.random.RandomState(0).randint(0, 256, (40, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(img).save(buffer, request.param)
    return request.param, buffer.getvalue()


def test_equals_the_stock_transform(tmp_path, encoded):
    path = tmp_path / 'image'
    path.write_bytes(encoded[1])
    ours = LoadImageStrict().transform(dict(img_path=str(path)))
    stock = LoadImage().transform(dict(img_path=str(path)))
    np.testing.assert_array_equal(ours.pop('img'), stock.pop('img'))
    assert ours == stock


@pytest.mark.parametrize('kept', [0.3, 0.9])
def test_truncated_image_is_named(tmp_path, encoded, kept):
    kind, data = encoded
    path = tmp_path / 'image'
    path.write_bytes(data[: int(kept * len(data))])
    if kind == 'BMP':
        message = 'image cannot be decoded'
    else:
        message = 'image is truncated'
    with pytest.raises(ValueError, match=f'{tmp_path}/{message}'):
        LoadImageStrict().transform(dict(img_path=str(path)))


def test_empty_image_is_named(tmp_path):
    path = tmp_path / 'empty.jpg'
    path.touch()
    with pytest.raises(ValueError, match='empty.jpg cannot be decoded'):
        LoadImageStrict().transform(dict(img_path=str(path)))


def test_jpeg_with_an_embedded_thumbnail_is_still_seen_as_truncated(tmp_path):
    img = Image.fromarray(
        np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8)
    )
    thumbnail, buffer = io.BytesIO(), io.BytesIO()
    img.resize((8, 8)).save(thumbnail, 'JPEG')
    img.save(buffer, 'JPEG')
    comment = thumbnail.getvalue()
    segment = b'\xff\xfe' + (len(comment) + 2).to_bytes(2, 'big') + comment
    data = buffer.getvalue()[:2] + segment + buffer.getvalue()[2:]
    path = tmp_path / 'image.jpg'
    path.write_bytes(data)
    assert LoadImageStrict().transform(dict(img_path=str(path)))['ori_shape'] == (
        64,
        64,
    )
    path.write_bytes(data[:-500])
    with pytest.raises(ValueError, match='truncated'):
        LoadImageStrict().transform(dict(img_path=str(path)))


def test_missing_image_is_named(tmp_path):
    with pytest.raises(ValueError, match='none.jpg cannot be read: .*No such file'):
        LoadImageStrict().transform(dict(img_path=str(tmp_path / 'none.jpg')))


def test_skip_warns_and_counts(tmp_path, caplog):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(b'no image')
    transform = LoadImageStrict(on_error='skip')
    with caplog.at_level(logging.WARNING, logger='mmengine'):
        from mmengine.logging import MMLogger

        MMLogger.get_current_instance().addHandler(caplog.handler)
        assert transform.transform(dict(img_path=str(path))) is None
        assert transform.transform(dict(img_path=str(path))) is None
        MMLogger.get_current_instance().removeHandler(caplog.handler)
    assert transform.num_skipped == 2
    assert 'broken.jpg cannot be decoded' in caplog.text
    assert 'skipped, 2 so far' in caplog.text


def test_lmdb(tmp_path, encoded):
    path = str(tmp_path / 'crops.lmdb')
    with lmdb.open(path, map_size=1 << 20) as env, env.begin(write=True) as txn:
        txn.put(b'a', encoded[1])
    transform = LoadImageStrict(backend_args=dict(backend='lmdb', db_path=path))
    assert transform.transform(dict(img_path='a'))['img'].shape == (40, 30, 3)
    with pytest.raises(ValueError, match='image b .*crops.lmdb'):
        transform.transform(dict(img_path='b'))


def test_bad_on_error():
    with pytest.raises(ValueError, match="'raise' or 'skip', but got 'ignore'"):
        LoadImageStrict(on_error='ignore')
