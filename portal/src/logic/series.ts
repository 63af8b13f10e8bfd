// Numbers out of telemetry as series: of each metric one a device. What is kept is bounded, whatever devices send. No browser in here.

export interface SeriesPoint {
    at: number; // ms since 1970
    value: number;
}

export const POINTS_MAX = 100; // of a device and metric
export const DEVICES_MAX = 50; // of a metric
export const METRICS_MAX = 50;
const DEPTH_MAX = 3;

export class SeriesSet {
    /** metric → device → points in the order of their times */
    private metrics = new Map<string, Map<string, SeriesPoint[]>>();
    /** What did not find room. */
    left = { metrics: new Set<string>(), devices: new Set<string>() };

    /** A message's body; what is no number is left out. */
    take(device: string, at: number, body: unknown) {
        this.walk(device, at, body, '', DEPTH_MAX);
    }

    private walk(device: string, at: number, body: unknown, path: string, depth: number) {
        if (typeof body === 'number' && Number.isFinite(body) && path) this.add(path, device, [{ at, value: body }]);
        if (typeof body !== 'object' || body === null || Array.isArray(body) || depth === 0) return;
        for (const [name, value] of Object.entries(body))
            if (!/unit$/i.test(name)) this.walk(device, at, value, path ? `${path}.${name}` : name, depth - 1);
    }

    /** Points of one series, live or from a store; those of a time that is there replace it. */
    add(metric: string, device: string, points: SeriesPoint[]) {
        let devices = this.metrics.get(metric);
        if (!devices) {
            if (this.metrics.size >= METRICS_MAX) return void remember(this.left.metrics, metric);
            this.metrics.set(metric, (devices = new Map()));
        }
        let kept = devices.get(device);
        if (!kept) {
            if (devices.size >= DEVICES_MAX) return void remember(this.left.devices, device);
            devices.set(device, (kept = []));
        }
        for (const point of points) {
            let to = kept.length;
            while (to > 0 && (kept[to - 1] as SeriesPoint).at > point.at) to--;
            const same = to > 0 && (kept[to - 1] as SeriesPoint).at === point.at;
            kept.splice(same ? to - 1 : to, same ? 1 : 0, point);
        }
        if (kept.length > POINTS_MAX) kept.splice(0, kept.length - POINTS_MAX);
    }

    /** Names with the number of their series; by name. */
    names(): [string, number][] {
        return [...this.metrics]
            .map(([name, devices]): [string, number] => [name, devices.size])
            .sort((a, b) => (a[0] < b[0] ? -1 : 1));
    }

    of(metric: string): [string, SeriesPoint[]][] {
        return [...(this.metrics.get(metric) ?? [])].sort((a, b) => (a[0] < b[0] ? -1 : 1));
    }
}

function remember(set: Set<string>, name: string) {
    if (set.size < 1000) set.add(name);
}
