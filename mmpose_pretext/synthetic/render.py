"""A small ray caster: elliptical round cones and boxes, depth buffer, shading."""

from dataclasses import dataclass, fields
from functools import lru_cache

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
    low = np.clip(np.floor(low), 0, limit).astype(int)
    high = np.clip(np.ceil(high) + 1, 0, limit).astype(int)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], 1)


def _hit_cone(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, o: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """First hits with a round cone along y, as depths; NaN where there is none.

    I. Quilez, *Ray-rounded cone intersection* (iquilezles.org/articles/intersectors),
    for rays o + t d of any length: d = a (x, y, 1). Its dot products are polynomials in
    x and y, so no d is made.

    Args:
        x: Slopes of the columns, (w,).
        y: Slopes of the rows, (h, 1).
        a: Camera axes to own axes, (3, 3).
        o: Camera in own axes, (3,).
        size: Length and radii.
    """
    length, ra, rb = size.tolist()
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = (a.T @ a).tolist()
    dd = x * (x * xx + 2 * xz) + (y * (y * yy + 2 * yz) + zz) + (2 * xy * x) * y
    (ox, oy, oz), oo = (o @ a).tolist(), float(o @ o)
    od = x * ox + (y * oy + oz)
    t = -(od + np.sqrt(od * od - dd * (oo - ra * ra))) / dd
    slope = length * length - (ra - rb) ** 2
    if slope <= 0:  # a sphere
        return t
    m1, taper = length * float(o[1]), ra * (ra - rb)
    (mx, my, mz) = (length * a[1]).tolist()
    m2 = x * mx + (y * my + mz)
    od_b = od - m2
    oo_b = oo - 2 * m1 + length * length
    t_b = -(od_b + np.sqrt(od_b * od_b - dd * (oo_b - rb * rb))) / dd
    k2 = slope * dd - m2 * m2
    k1 = slope * od + (taper - m1) * m2
    k0 = slope * oo - m1 * m1 + 2 * m1 * taper - (length * ra) ** 2
    side = -(k1 + np.sqrt(k1 * k1 - k0 * k2)) / k2
    height = side * m2 + (m1 - taper)
    return np.where((height > 0) & (height < slope), side, np.fmin(t, t_b))


def _hit_box(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, o: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """The same for a box around 0. A box and the camera are upright: a[1, 0] is 0."""
    near, far = -np.inf, np.inf
    for i in (1, 0, 2):
        d = y * a[i, 1] + a[i, 2]
        if i != 1:
            d = d + x * a[i, 0]
        inverse = 1 / (d + 1e-12)  # a ray may be parallel to a side
        middle, reach = inverse * -o[i], np.abs(inverse * half[i])
        near = np.maximum(near, middle - reach)
        far = np.minimum(far, middle + reach)
    return np.where((near < far) & (near > 0), near, np.nan)


def cast(camera: Camera, solids: Solids) -> tuple[np.ndarray, np.ndarray]:
    """Nearest surface at each pixel.

    Returns:
        Depth along the camera's z in metres (inf where there is nothing), float32
        (H, W), and the index of the solid (-1 where there is none), int32 (H, W).
    """
    w, h = camera.image_size
    x, y = camera.rays()
    y = y[:, None]
    depth = np.full((h, w), np.inf, np.float32)
    index = np.full((h, w), -1, np.int32)
    axes, origin = _own_axes(camera, solids)
    size = solids.size.astype(np.float32)
    with np.errstate(invalid='ignore', divide='ignore'):
        for k, (x0, x1, y0, y1) in enumerate(_bounds(camera, solids)):
            if x0 >= x1 or y0 >= y1:
                continue
            hit = _hit_box if solids.box[k] else _hit_cone
            t = hit(x[x0:x1], y[y0:y1], axes[k], origin[k], size[k])
            roi = depth[y0:y1, x0:x1]
            nearer = t < roi
            np.copyto(roi, t, where=nearer)
            np.copyto(index[y0:y1, x0:x1], k, where=nearer)
    return depth, index


def _own_axes(camera: Camera, solids: Solids) -> tuple[np.ndarray, np.ndarray]:
    """Camera axes to own axes (n, 3, 3), and the camera in own axes (n, 3), float32."""
    axes = solids.frame @ camera.rotation.T
    origin = solids.frame @ (camera.position - solids.origin)[..., None]
    return axes.astype(np.float32), origin[..., 0].astype(np.float32)


@lru_cache(maxsize=2)
def texture(roughness: float = 1.0) -> np.ndarray:
    """Tile (512, 512) of irregular texture, mean 0, deviation 1.

    Args:
        roughness: Amplitudes fall with frequency to this power; 0 is white noise.
    """
    white = np.random.default_rng(5).standard_normal((512, 512))
    f = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)) ** roughness
    f[0, 0] = np.inf
    tile = np.fft.irfft2(np.fft.rfft2(white) / f, (512, 512))
    return (tile / tile.std()).astype(np.float32)


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
    axes, origin = _own_axes(camera, solids)
    towards = (camera.rotation @ light.direction).astype(np.float32)
    # Sorted by solid, the pixels of each are one slice of every array.
    flat = index.ravel().astype(np.int16)
    order = np.argsort(flat, kind='stable')
    ray = np.ones((3, h * w), np.float32)
    ray[0], ray[1] = np.tile(x, h)[order], np.repeat(y, w)[order]
    length = np.sqrt(ray[0] * ray[0] + ray[1] * ray[1] + 1)
    counts = np.bincount(flat + 1, minlength=len(solids.box) + 1)
    ends = np.cumsum(counts)
    at = ray * depth.ravel()[order]
    normal = np.zeros_like(ray)
    across, along, part = np.zeros_like(ray)
    for k in np.flatnonzero(counts[1:]):
        own = slice(ends[k], ends[k + 1])
        p = axes[k] @ at[:, own] + origin[k][:, None]
        surface = _on_box if solids.box[k] else _on_cone
        n, across[own], along[own], part[own] = surface(p, solids.size[k])
        normal[:, own] = axes[k].T @ n
    sky, ground = slice(0, ends[0]), slice(ends[0], ends[1])
    normal /= np.maximum(np.sqrt(np.einsum('ij,ij->j', normal, normal)), 1e-9)
    facing = -np.einsum('ij,ij->j', normal, ray) / length
    diffuse = np.maximum(towards @ normal, 0)
    diffuse[ground] *= 1 - shadow.ravel()[order[ground]]
    shine = light.ambient * (0.7 + 0.3 * facing) + (1 - light.ambient) * diffuse
    pixel = at[2] / (camera.focal * np.maximum(facing, 0.1))
    pixel[sky] = 0
    look = np.concatenate([looks(1), solids.look])  # of the sky: anything
    colour = _albedo(look, counts, across, along, part, pixel)
    colour *= 1.25 * light.colour.astype(np.float32)[:, None] * shine
    colour[:, sky] = _sky(camera, light, ray[:, sky] / length[sky])
    image = np.empty((h * w, 3), np.float32)
    image[order] = colour.T
    return image.reshape(h, w, 3)


def _on_box(p: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, ...]:
    """Normals, two surface coordinates and part of the length at points (3, n)."""
    face = np.abs(p / half[:, None].astype(np.float32)).argmax(0)
    normal = np.where(face == np.arange(3)[:, None], np.sign(p), 0).astype(np.float32)
    level = face == 1
    across = np.where(level, p[0], p[0] + p[2])
    return normal, across, np.where(level, p[2], p[1]), np.zeros_like(across)


def _on_cone(p: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same for a round cone."""
    length, ra, rb = size.tolist()
    slope = length * length - (ra - rb) ** 2
    part = np.zeros_like(p[1])
    if slope > 0:
        part = p[1] * (length / slope) - ra * (ra - rb) / slope
        part = np.minimum(np.maximum(part, 0), 1)
    normal = p.copy()
    normal[1] -= part * length
    return normal, p[0] + 0.5 * p[2], p[1], part


def _albedo(
    look: np.ndarray,
    counts: np.ndarray,
    across: np.ndarray,
    along: np.ndarray,
    part: np.ndarray,
    pixel: np.ndarray,
) -> np.ndarray:
    """Colours (3, n) of surfaces.

    Args:
        look: Surfaces, each of the next ``counts`` points, array of :data:`LOOK`.
        counts: Numbers of points, their sum is n.
        across: Place across the surface, metres, (n,).
        along: Place along it, metres, (n,).
        part: The same as a part of its length, (n,).
        pixel: Size of a pixel there, metres, (n,).
    """

    def each(name: str) -> np.ndarray:
        return np.repeat(look[name].T, counts, axis=-1)

    kx, ky = each('waves')
    wave = np.clip(4 * np.cos(kx * across) * np.cos(ky * along), -1, 1)
    fade = np.clip(1.6 - np.maximum(kx, ky) * pixel, 0, 1)  # finer would alias
    colour = each('colour') + each('step') * (0.5 - 0.5 * wave * fade)
    np.copyto(colour, each('beyond'), where=part > each('end'))
    scale = each('scale')
    coarse = np.maximum(2 * scale * pixel, 1)
    scale /= (coarse.view(np.int32) & 0x7F800000).view(np.float32)  # power of 2
    shift = np.repeat(np.arange(len(look), dtype=np.int32), counts)
    u = (across * scale).astype(np.int32) + 97 * shift
    v = (along * scale).astype(np.int32) + 57 * shift
    grain = texture().ravel()[((v & 511) << 9) | (u & 511)]
    return colour * (1 + each('grain') * grain)


def _sky(camera: Camera, light: Light, ray: np.ndarray) -> np.ndarray:
    """Colours (3, n) seen along unit rays that hit nothing."""
    height = np.clip(1.6 * (camera.rotation[:, 1].astype(np.float32) @ ray), 0, 1)
    u, v = ((150 * ray[i]).astype(np.int32) & 511 for i in (0, 1))
    low, high = light.sky.astype(np.float32)[..., None]
    return low + (high - low) * height + 0.05 * texture()[v * 2 & 511, u]
