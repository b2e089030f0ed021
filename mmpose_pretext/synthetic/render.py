"""A small ray caster: elliptical round cones and boxes, depth buffer, shading."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache, partial

import cv2
import numpy as np

from .camera import Camera
from .skeleton import cross, unit

LOOK = np.dtype(
    [
        ('colour', 'f4', 3),  # RGB in 0..1
        ('step', 'f4', 3),  # from it to the other colour of the pattern
        ('waves', 'f4', 2),  # pattern: radians per metre across and along
        ('end', 'f4'),  # part of the length that wears this; beyond it:
        ('beyond', 'f4', 3),  # colour there
        ('grain', 'f4'),  # strength of the irregular texture
        ('scale', 'f4'),  # texture elements (1/512 of the tile) per metre
    ]
)
"""How a surface looks. Stripes across where ``waves[0]`` is 0, stripes along where
``waves[1]`` is 0, checks where neither is; where ``step`` is 0, plain.
"""


def looks(n: int, **values: object) -> np.ndarray:
    """Array (n,) of :data:`LOOK`, by default plain grey, with the given fields."""
    out = np.zeros(n, LOOK)
    out['colour'], out['end'], out['grain'], out['scale'] = 0.5, 9, 0.25, 300
    for name, value in values.items():
        out[name] = value
    return out


@dataclass
class Solids:
    """n bodies in the world, in metres.

    A round cone is the hull of two spheres; its cross-section may be flattened. All of
    its numbers live in its own axes: the origin at the first sphere, y along the cone,
    x and z stretched so that the cross-section is a circle.

    Args:
        box: Whether a solid is a box, else a round cone; (n,) bool.
        origin: Centre of a box, first end of a cone; (n, 3).
        frame: From world axes to own axes; (n, 3, 3).
        size: Half sizes of a box; length and the two radii of a cone; (n, 3).
        owner: Index of the person that it belongs to, else -1; (n,).
        look: Surface, (n,) of :data:`LOOK`.
    """

    box: np.ndarray
    origin: np.ndarray
    frame: np.ndarray
    size: np.ndarray
    owner: np.ndarray
    look: np.ndarray

    @classmethod
    def cones(
        cls,
        start: np.ndarray,
        end: np.ndarray,
        radii: np.ndarray,
        front: np.ndarray,
        look: np.ndarray,
        flat: np.ndarray | float = 1.0,
        owner: int = -1,
    ) -> 'Solids':
        """Round cones.

        Args:
            start: First ends, (n, 3).
            end: Other ends, (n, 3); equal to the first for a sphere.
            radii: Radii at both ends, (n, 2).
            front: Directions in which a cross-section is thinner, (n, 3).
            look: Surfaces, (n,).
            flat: How many times thinner than wide, (n,).
            owner: Index of a person or -1.
        """
        n = len(start)
        axis = end - start
        length = np.linalg.norm(axis, axis=1)
        y = np.where(length[:, None] > 1e-6, axis, [0.0, 1.0, 0.0])
        y = unit(y)
        z = front - (front * y).sum(1, keepdims=True) * y
        z = unit(np.where(np.abs(z).sum(1, keepdims=True) > 1e-3, z, y[:, [1, 2, 0]]))
        x = unit(cross(y, z))
        z = cross(x, y) * np.broadcast_to(flat, n)[:, None]
        return cls(
            np.zeros(n, bool),
            start,
            np.stack([x, y, z], 1),
            np.column_stack([length, radii]),
            np.full(n, owner),
            look,
        )

    @classmethod
    def boxes(
        cls, centre: np.ndarray, half: np.ndarray, yaw: np.ndarray, look: np.ndarray
    ) -> 'Solids':
        """Upright boxes: centres (n, 3), half sizes (n, 3), yaw (n,) in radians."""
        n = len(centre)
        frame = np.zeros((n, 3, 3))
        frame[:, 0, 0] = frame[:, 2, 2] = np.cos(yaw)
        frame[:, 2, 0] = np.sin(yaw)
        frame[:, 0, 2] = -np.sin(yaw)
        frame[:, 1, 1] = 1
        return cls(np.ones(n, bool), centre, frame, half, np.full(n, -1), look)

    @classmethod
    def join(cls, parts: list['Solids']) -> 'Solids':
        """All solids of several groups, in order."""
        return cls(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls))
        )


def _bounds(camera: Camera, solids: Solids) -> np.ndarray:
    """Pixel ranges x0, x1, y0, y1 (n, 4) that hold the solids; empty behind the camera.

    The range of a cone holds the cubes around its end spheres, that of a box its eight
    corners, or the whole image when one is behind the camera.
    """
    corner = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    points = np.empty((len(solids.box), 16, 3))
    b = solids.box
    own = corner * solids.size[b][:, None]
    world = solids.origin[b][:, None] + own @ solids.frame[b]
    points[b] = np.tile(camera.to_camera(world), (1, 2, 1))
    start = camera.to_camera(solids.origin[~b])
    length, r0, r1 = solids.size[~b].T
    step = solids.frame[~b, 1] * length[:, None]
    end = start + step @ camera.rotation.T
    points[~b, :8] = start[:, None] + corner * r0[:, None, None]
    points[~b, 8:] = end[:, None] + corner * r1[:, None, None]
    crosses = (points[..., 2] < 0.1).any(1)
    points[..., 2] = np.maximum(points[..., 2], 0.1)
    pixels = camera.project(points)
    low, high = pixels.min(1), pixels.max(1)
    high[(high - low).max(1) < 1.5] = -1  # a speck
    low[crosses & b], high[crosses & b] = -1, 1e6
    high[crosses & ~b] = -1
    limit = np.array(camera.image_size)
    low = np.clip(np.floor(low), 0, limit).astype(np.int32)
    high = np.clip(np.ceil(high) + 1, 0, limit).astype(np.int32)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)


ENDLESS = 1e4
"""A box has no end in a direction in which its half size is this or more."""


def _hit_box(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, o: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """First hits of the rays o + t a (x, y, 1) with a box around 0; NaN where none.

    Args:
        x: Slopes of the columns, (w,).
        y: Slopes of the rows, (h, 1).
        a: Camera axes to own axes, (3, 3); box and camera are upright: a[1, 0] is 0.
        o: Camera in own axes, (3,).
        half: Half sizes, (3,).
    """
    near, far = -np.inf, np.inf
    for i in (1, 0, 2):
        if half[i] >= ENDLESS:
            continue
        d = y * a[i, 1] + a[i, 2]
        if i != 1:
            d = d + x * a[i, 0]
        inverse = 1 / (d + 1e-12)  # a ray may be parallel to a side
        middle, reach = inverse * -o[i], np.abs(inverse * half[i])
        near = np.maximum(near, middle - reach)
        far = np.minimum(far, middle + reach)
    return np.where((near < far) & (near > 0), near, np.nan)


def _cone_terms(a: np.ndarray, o: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Numbers that :func:`_hit_cone` needs of each of n cones, (17, n) float32.

    Args:
        a: Camera axes to own axes, (n, 3, 3).
        o: Camera in own axes, (n, 3).
        size: Lengths and radii, (n, 3).
    """
    length, ra, rb = size.T
    g = a.transpose(0, 2, 1) @ a
    oa = (o[:, None] @ a)[:, 0]
    oo = (o * o).sum(1)
    m1, taper = length * o[:, 1], ra * (ra - rb)
    slope = length**2 - (ra - rb) ** 2
    terms = [
        *(g[:, 0, 0], 2 * g[:, 0, 1], 2 * g[:, 0, 2]),
        *(g[:, 1, 1], 2 * g[:, 1, 2], g[:, 2, 2]),
        *oa.T,
        *(length[:, None] * a[:, 1]).T,
        oo - ra**2,
        oo - 2 * m1 + length**2 - rb**2,
        slope,
        taper - m1,
        slope * oo - m1 * m1 + 2 * m1 * taper - (length * ra) ** 2,
    ]
    return np.array(terms, np.float32)


def _hit_cone(x: np.ndarray, y: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """First hits of the rays (x, y, 1) with round cones, as depths; NaN where none.

    I. Quilez, *Ray-rounded cone intersection* (iquilezles.org/articles/intersectors),
    for rays o + t d of any length: d = a (x, y, 1). Its dot products are polynomials in
    x and y. Everything is per ray: (n,), and ``terms`` (17, n).
    """
    xx, xy, xz, yy, yz, zz, ox, oy, oz, mx, my, mz, ca, cb, slope, c1, k0 = terms
    dd = x * (x * xx + y * xy + xz) + y * (y * yy + yz) + zz
    od = x * ox + y * oy + oz
    m2 = x * mx + y * my + mz
    t_a = -(od + np.sqrt(od * od - dd * ca)) / dd
    od_b = od - m2
    t_b = -(od_b + np.sqrt(od_b * od_b - dd * cb)) / dd
    k2 = slope * dd - m2 * m2
    k1 = slope * od + c1 * m2
    side = -(k1 + np.sqrt(k1 * k1 - k0 * k2)) / k2
    height = side * m2 - c1
    return np.where((height > 0) & (height < slope), side, np.fmin(t_a, t_b))


_BATCH = 1 << 13  # points at a time: temporary arrays stay in the cache


def cast(camera: Camera, solids: Solids) -> tuple[np.ndarray, np.ndarray]:
    """Nearest surface at each pixel.

    Returns:
        Depth along the camera's z in metres (inf where there is nothing), float32
        (H, W), and the index of the solid (-1 where there is none), int32 (H, W).
    """
    w, h = camera.image_size
    x, y = camera.rays()
    depth = np.full((h, w), np.inf, np.float32)
    index = np.full((h, w), -1, np.int32)
    axes, origin = _own_axes(camera, solids)
    bounds = _bounds(camera, solids)
    sides = bounds[:, 1::2] - bounds[:, ::2]
    size = solids.size.astype(np.float32)
    seen = (sides > 0).all(1)
    flat_depth, flat_index = depth.ravel(), index.ravel()
    with np.errstate(invalid='ignore', divide='ignore'):
        for k in np.flatnonzero(seen & solids.box):
            x0, x1, top, bottom = bounds[k]
            for y0 in range(top, bottom, max(1, _BATCH // w)):
                roi = slice(y0, min(y0 + max(1, _BATCH // w), bottom)), slice(x0, x1)
                t = _hit_box(x[x0:x1], y[roi[0], None], axes[k], origin[k], size[k])
                nearer = t < depth[roi]
                np.copyto(depth[roi], t, where=nearer)
                np.copyto(index[roi], k, where=nearer)
        cones = np.flatnonzero(seen & ~solids.box)
        terms = _cone_terms(axes[cones], origin[cones], solids.size[cones])
        count = sides[cones].prod(1)
        batch = np.cumsum(count) // _BATCH
        for b in np.unique(batch):
            which = np.flatnonzero(batch == b)
            n = count[which]
            k = np.repeat(which, n)
            place = np.arange(len(k)) - np.repeat(np.cumsum(n) - n, n)
            row, column = np.divmod(place.astype(np.int32), sides[cones, 0][k])
            row += bounds[cones, 2][k]
            column += bounds[cones, 0][k]
            t = _hit_cone(x[column], y[row], np.repeat(terms[:, which], n, axis=1))
            pixel = row * w + column
            hits = np.flatnonzero(t < flat_depth[pixel])
            hits = hits[np.argsort(-t[hits], kind='stable')]  # the nearest is last
            flat_depth[pixel[hits]] = t[hits]
            flat_index[pixel[hits]] = cones[k[hits]]
    return depth, index


def _own_axes(camera: Camera, solids: Solids) -> tuple[np.ndarray, np.ndarray]:
    """Camera axes to own axes (n, 3, 3), and the camera in own axes (n, 3), float32."""
    axes = solids.frame @ camera.rotation.T
    origin = solids.frame @ (camera.position - solids.origin)[..., None]
    return axes.astype(np.float32), origin[..., 0].astype(np.float32)


@lru_cache(maxsize=1)
def texture() -> np.ndarray:
    """Tile (512, 512) of irregular texture of all scales, mean 0, deviation 1."""
    white = np.random.default_rng(5).standard_normal((512, 512))
    f = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
    f[0, 0] = np.inf
    tile = np.fft.irfft2(np.fft.rfft2(white) / f, (512, 512))
    return (tile / tile.std()).astype(np.float32)


Each = Callable[[np.ndarray], np.ndarray]


@dataclass
class Light:
    """Light of a scene.

    Args:
        direction: Unit vector towards the light in the world, (3,).
        ambient: Part of the light that comes from everywhere, 0 to 1.
        colour: RGB factors, (3,).
        sky: RGB at the horizon and at the zenith, (2, 3).
    """

    direction: np.ndarray
    ambient: float
    colour: np.ndarray
    sky: np.ndarray


def shade(
    camera: Camera,
    solids: Solids,
    light: Light,
    depth: np.ndarray,
    index: np.ndarray,
    shadow: np.ndarray,
) -> np.ndarray:
    """Colours of the surfaces that :func:`cast` found.

    Args:
        camera: The camera.
        solids: The solids; the first is the ground.
        light: The light.
        depth: From :func:`cast`.
        index: From :func:`cast`.
        shadow: Shadow on the ground, 0 to 1, (H, W).

    Returns:
        RGB around 0..1, float32 (H, W, 3).
    """
    w, h = camera.image_size
    x, y = camera.rays()
    # Sorted by solid, so that the pixels of each stand together; the sky's come first.
    index = index.ravel().astype(np.int16)
    order = np.argsort(index, kind='stable').astype(np.int32)
    depth, shadow = depth.ravel(), shadow.ravel()
    planes = np.empty((3, h * w), np.float32)
    sky = int(np.count_nonzero(index < 0))
    axes = _own_axes(camera, solids)
    for at in _batches(order[:sky]) + _batches(order[sky:]):
        row, column = np.divmod(at, w)
        ray = np.stack([x[column], y[row], np.ones(len(at), np.float32)])
        length = np.sqrt(np.einsum('ij,ij->j', ray, ray))
        ray /= length
        if index[at[0]] < 0:
            colour = _sky(camera, light, ray)
        else:
            counts = np.bincount(index[at])
            here = np.flatnonzero(counts)
            each = partial(_each, here=here, counts=counts[here])
            dark = np.where(index[at] == 0, shadow[at], 0)
            reach = depth[at] * length
            colour = _lit(camera, solids, light, axes, each, ray, reach, dark)
        for plane, values in zip(planes, colour, strict=True):
            plane[at] = values
    return cv2.merge(list(planes.reshape(3, h, w)))


def _batches(points: np.ndarray) -> list[np.ndarray]:
    return [points[i : i + _BATCH] for i in range(0, len(points), _BATCH)]


def _each(values: np.ndarray, here: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Values (..., solids) of the solids ``here``, once for each of their points."""
    return np.repeat(values[..., here], counts, axis=-1)


def _lit(
    camera: Camera,
    solids: Solids,
    light: Light,
    axes: tuple[np.ndarray, np.ndarray],
    each: Each,
    ray: np.ndarray,
    reach: np.ndarray,
    shadow: np.ndarray,
) -> np.ndarray:
    """Colours (3, n) of points on surfaces.

    Args:
        camera: The camera.
        solids: The solids.
        light: The light.
        axes: From :func:`_own_axes`.
        each: Gives each point the value of its solid: (..., solids) to (..., n).
        ray: Unit vectors from the camera, (3, n).
        reach: Distances from the camera, (n,).
        shadow: Shadow on the points, (n,).
    """
    a = each(axes[0].transpose(1, 2, 0))
    p = [(r[0] * ray[0] + r[1] * ray[1] + r[2] * ray[2]) * reach for r in a]
    p = np.stack(p) + each(axes[1].T)
    own, across, along, part = _surface(solids, each, p)
    normal = [own[0] * a[0, j] + own[1] * a[1, j] + own[2] * a[2, j] for j in range(3)]
    normal = np.stack(normal)
    normal /= np.sqrt(np.einsum('ij,ij->j', normal, normal))
    facing = -np.einsum('ij,ij->j', normal, ray)
    towards = (camera.rotation @ light.direction).astype(np.float32)
    diffuse = np.maximum(towards @ normal, 0) * (1 - shadow)
    shine = light.ambient * (0.7 + 0.3 * facing) + (1 - light.ambient) * diffuse
    pixel = reach * ray[2] / (camera.focal * np.maximum(facing, 0.1))
    albedo = _albedo(solids.look, each, across, along, part, pixel)
    return albedo * shine * (1.25 * light.colour.astype(np.float32))[:, None]


def _surface(
    solids: Solids, each: Each, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Geometry at points of the solids' surfaces, in the solids' own axes.

    Args:
        solids: The solids.
        each: As in :func:`_lit`.
        p: Points, (3, n).

    Returns:
        Normals of any length (3, n), places across and along the surface in metres
        (n,), and the latter as part of a cone's length (n,).
    """
    length, ra, rb = np.where(solids.box[:, None], 0, solids.size).T
    slope = np.maximum(length**2 - (ra - rb) ** 2, 1e-9)
    per_cone = np.array([length / slope, ra * (ra - rb) / slope, length], np.float32)
    scale, shift, length = each(per_cone)
    part = np.minimum(np.maximum(p[1] * scale - shift, 0), 1)
    round_ = np.stack([p[0], p[1] - part * length, p[2]])
    box = each(solids.box)
    half = np.where(solids.box[:, None], solids.size, 1).astype(np.float32)
    reach = np.abs(p) / each(half.T)
    face = reach >= np.maximum(np.maximum(reach[0], reach[1]), reach[2])
    level = box & face[1]
    across = p[0] + np.where(box, 1 - level, np.float32(0.5)) * p[2]
    along = np.where(level, p[2], p[1])
    return np.where(box, p * face, round_), across, along, part


def _albedo(
    look: np.ndarray,
    each: Each,
    across: np.ndarray,
    along: np.ndarray,
    part: np.ndarray,
    pixel: np.ndarray,
) -> np.ndarray:
    """Colours (3, n) of surfaces.

    Args:
        look: Surfaces, array of :data:`LOOK`.
        each: As in :func:`_lit`.
        across: Place across the surface, metres, (n,).
        along: Place along it, metres, (n,).
        part: The same as a part of its length, (n,).
        pixel: Size of a pixel there, metres, (n,).
    """
    kx, ky = each(look['waves'].T)
    wave = 4 * np.cos(kx * across) * np.cos(ky * along)
    wave = np.minimum(np.maximum(wave, -1), 1)
    fade = 1.6 - np.maximum(kx, ky) * pixel  # a finer pattern would alias
    fade = np.minimum(np.maximum(fade, 0), 1)
    colour = each(look['colour'].T) + each(look['step'].T) * (0.5 - 0.5 * wave * fade)
    np.copyto(colour, each(look['beyond'].T), where=part > each(look['end']))
    scale = each(look['scale'])
    coarse = np.maximum(2 * scale * pixel, 1)
    scale /= (coarse.view(np.int32) & 0x7F800000).view(np.float32)  # power of 2
    seed = each(np.arange(len(look), dtype=np.int32))
    u = (across * scale).astype(np.int32) + 97 * seed
    v = (along * scale).astype(np.int32) + 57 * seed
    grain = texture().ravel()[((v & 511) << 9) | (u & 511)]
    return colour * (1 + each(look['grain']) * grain)


def _sky(camera: Camera, light: Light, ray: np.ndarray) -> np.ndarray:
    """Colours (3, n) seen along unit rays that hit nothing."""
    height = np.clip(1.6 * (camera.rotation[:, 1].astype(np.float32) @ ray), 0, 1)
    u, v = ((150 * ray[i]).astype(np.int32) & 511 for i in (0, 1))
    low, high = light.sky.astype(np.float32)[..., None]
    return low + (high - low) * height + 0.05 * texture()[v * 2 & 511, u]
