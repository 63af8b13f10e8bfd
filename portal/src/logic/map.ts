// A map of the world without tiles: TopoJSON to paths in Mercator's projection, and pins that are put together where they are close.
// No browser in here. The world is 360 wide and 360 high; north is up.

export const WORLD = 360;
const LATITUDE_MAX = 85.0511; // where Mercator's square ends

export interface Point {
    x: number;
    y: number;
}

export function project(latitude: number, longitude: number): Point {
    const phi = (Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, latitude)) * Math.PI) / 180;
    return {
        x: longitude + 180,
        y: WORLD / 2 - (Math.log(Math.tan(Math.PI / 4 + phi / 2)) * 180) / Math.PI,
    };
}

/** A place that there is: 0 is one, too. */
export function isPlace(latitude: unknown, longitude: unknown): boolean {
    return (
        typeof latitude === 'number' &&
        typeof longitude === 'number' &&
        Math.abs(latitude) <= 90 &&
        Math.abs(longitude) <= 180
    );
}

/* ---- land ---- */

type Arcs = number | Arcs[];
interface Geometry {
    arcs?: Arcs;
    geometries?: Geometry[];
}
export interface Topology {
    transform: { scale: number[]; translate: number[] };
    arcs: number[][][];
    objects: { land: Geometry; countries: Geometry };
}

/** Rings of a geometry, each a list of arcs; one that is negative is run through backwards. */
function ringsOf(geometry: Geometry): number[][] {
    const rings: number[][] = [];
    const walk = (arcs: Arcs) => {
        if (!Array.isArray(arcs)) return;
        if (typeof arcs[0] === 'number') rings.push(arcs as number[]);
        else arcs.forEach(walk);
    };
    (geometry.geometries ?? [geometry]).forEach((part) => walk(part.arcs ?? []));
    return rings;
}

const isFar = (at: Point, before?: Point) => Math.abs(at.x - (before?.x ?? Infinity)) > WORLD / 2;

/** A line, lifted where it leaves the world at one side and comes back at the other. */
function path(points: Point[]): string {
    return points
        .map((at, i) => `${isFar(at, points[i - 1]) ? 'M' : 'L'}${+at.x.toFixed(2)} ${+at.y.toFixed(2)}`)
        .join('');
}

/** Where a line from `a` to `b` goes over the world's side: out at the one, in at the other. */
function over(a: Point, b: Point): [Point, Point] {
    const [out, back] = a.x > b.x ? [WORLD, 0] : [0, WORLD];
    const [before, behind] = [Math.abs(out - a.x), Math.abs(back - b.x)];
    const y = a.y + ((b.y - a.y) * before) / (before + behind || 1);
    return [
        { x: out, y },
        { x: back, y },
    ];
}

/** A ring begins where it comes back into the world, so that each of its pieces is closed along the world's side. */
function filled(ring: Point[]): string {
    const whole = ring.flatMap((at, i) => {
        const before = ring[i - 1];
        return before && isFar(at, before) ? [...over(before, at), at] : [at];
    });
    const start = whole.findIndex((at, i) => i > 0 && isFar(at, whole[i - 1]));
    return `${path(start < 0 ? whole : [...whole.slice(start), ...whole.slice(1, start)])}Z`;
}

/** Paths for SVG: all land, and the borders within it. */
export function landPaths(world: Topology): { land: string; borders: string } {
    const [sx = 1, sy = 1] = world.transform.scale;
    const [tx = 0, ty = 0] = world.transform.translate;
    const lines = world.arcs.map((arc) => {
        let x = 0;
        let y = 0;
        return arc.map(([dx = 0, dy = 0]) => {
            x += dx;
            y += dy;
            return project(y * sy + ty, x * sx + tx);
        });
    });
    const along = (arc: number) => (arc < 0 ? [...(lines[~arc] ?? [])].reverse() : (lines[arc] ?? []));
    const coast = ringsOf(world.objects.land);
    const land = coast.map((ring) => filled(ring.flatMap((arc, i) => along(arc).slice(i ? 1 : 0)))).join('');
    const onCoast = new Set(coast.flat().map((arc) => (arc < 0 ? ~arc : arc)));
    const inner = new Set(
        ringsOf(world.objects.countries)
            .flat()
            .map((arc) => (arc < 0 ? ~arc : arc)),
    );
    const borders = [...inner]
        .filter((arc) => !onCoast.has(arc))
        .map((arc) => path(along(arc)))
        .join('');
    return { land, borders };
}

/* ---- what is in sight ---- */

export interface View {
    x: number; // of its middle
    y: number;
    width: number; // of the world's 360
}
const WIDTH_MIN = 0.02;

/** Kept within the world. */
export function within(view: View, ratio: number): View {
    const width = Math.max(WIDTH_MIN, Math.min(WORLD, WORLD * ratio, view.width));
    const keep = (at: number, size: number) => Math.max(size / 2, Math.min(WORLD - size / 2, at));
    return { width, x: keep(view.x, width), y: keep(view.y, width / ratio) };
}

/** All the points with some room around them, at least `least` wide; `ratio`: width to height. */
export function fit(points: Point[], ratio: number, least = 12): View {
    if (!points.length) return within({ x: WORLD / 2, y: 150, width: WORLD }, ratio);
    const xs = points.map((point) => point.x);
    const ys = points.map((point) => point.y);
    const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const width = Math.max(least, 1.3 * Math.max(east - west, (south - north) * ratio));
    return within({ x: (west + east) / 2, y: (north + south) / 2, width }, ratio);
}

/* ---- pins ---- */

export interface Cluster<T> extends Point {
    members: T[];
}

/** Puts together what is closer than `reach` to the first of a cluster, so that no two pins lie on each other. */
export function clustered<T extends Point>(points: T[], reach: number): Cluster<T>[] {
    const clusters: Cluster<T>[] = [];
    const cells = new Map<string, Cluster<T>[]>(); // of `reach` a side: only neighbours are looked at
    const cell = (at: number) => Math.floor(at / reach);
    for (const point of points) {
        const near = [-1, 0, 1]
            .flatMap((i) => [-1, 0, 1].map((j) => cells.get(`${cell(point.x) + i} ${cell(point.y) + j}`) ?? []))
            .flat();
        const found = near.find((one) => Math.hypot(one.x - point.x, one.y - point.y) < reach);
        if (found) {
            found.members.push(point);
            continue;
        }
        const fresh = { x: point.x, y: point.y, members: [point] };
        clusters.push(fresh);
        const key = `${cell(point.x)} ${cell(point.y)}`;
        cells.set(key, [...(cells.get(key) ?? []), fresh]);
    }
    return clusters;
}
