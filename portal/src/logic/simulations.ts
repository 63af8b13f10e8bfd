// Simulations and device models, as the hub keeps them: docs/protocols/device-simulation.md, "Kept in the hub".

export interface Statistics {
    TotalMessagesSent: number;
    AverageMessagesPerSecond: number;
    FailedMessagesCount: number;
    FailedDeviceConnectionsCount: number;
    FailedDeviceTwinUpdatesCount: number;
    ActiveDevicesCount: number;
}
export interface Simulation {
    Id: string;
    ETag: string;
    Name: string;
    Description: string;
    Enabled: boolean;
    DeleteDevicesWhenSimulationEnds: boolean;
    StartTime: string;
    EndTime: string;
    DeviceModels: { Id: string; Count: number; Override?: { Telemetry?: { Interval?: string }[] } }[];
    Running: boolean;
    ActiveNow: boolean;
    Runner: string | null;
    StartedTime: string | null;
    StoppedTime: string | null;
    Error: string;
    DevicesDeletionComplete: boolean;
    Statistics: Statistics;
}
export interface DeviceModel {
    Id: string;
    ETag?: string;
    Name?: string;
    Description?: string;
    Version?: string;
    Type?: string;
    Telemetry: { Interval: string }[];
    CloudToDeviceMethods?: Record<string, unknown>;
}

export const SENSORS_MAX = 10;
export const FIXED_MAX_H = 99;

export type State = 'running' | 'waiting' | 'scheduled' | 'failed' | 'removing' | 'stopped' | 'ended';

export function stateOf(one: Simulation, now: number): State {
    if (one.Running) return 'running';
    if (one.ActiveNow) return one.Error ? 'failed' : 'waiting';
    if (one.Enabled && Date.parse(one.StartTime) > now) return 'scheduled';
    if (one.DeleteDevicesWhenSimulationEnds && !one.DevicesDeletionComplete) return 'removing';
    return one.Enabled ? 'ended' : 'stopped';
}
export const stateTexts: Record<State, string> = {
    running: 'Running',
    waiting: 'Waiting for a runner',
    scheduled: 'Scheduled',
    failed: 'Failed',
    removing: 'Removing devices',
    stopped: 'Stopped',
    ended: 'Ended',
};

export const devicesOf = (one: Simulation) => one.DeviceModels.reduce((sum, model) => sum + model.Count, 0);

/** An id out of a name: what the devices' ids begin with. */
export function idOf(name: string, taken: string[]): string {
    const plain = name
        .normalize('NFKD')
        .toLowerCase()
        .replace(/[\u0300-\u036f]/g, '')
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 30);
    const first = plain || 'simulation';
    for (let n = 1; ; n++) {
        const id = n === 1 ? first : `${first}-${n}`;
        if (!taken.includes(id)) return id;
    }
}

/** Seconds as a model's interval: 3661 → "01:01:01". */
export const intervalText = (seconds: number) =>
    [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
        .map((n) => String(n).padStart(2, '0'))
        .join(':');

const whole = (text: string, least: number, most: number) =>
    /^\d+$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;

export interface KindRow {
    model: string;
    count: string;
    interval: string; // seconds; empty: as the model says
}
export function wrongKinds(rows: KindRow[]): string {
    if (rows.length === 0) return 'A simulation has at least one device type.';
    if (new Set(rows.map((row) => row.model)).size < rows.length) return 'Each model once: add up its devices.';
    if (rows.some((row) => !whole(row.count, 1, 100000))) return 'An amount is 1 to 100000.';
    if (rows.reduce((sum, row) => sum + Number(row.count), 0) > 100000) return 'Together at most 100000 devices.';
    if (rows.some((row) => row.interval && !whole(row.interval, 1, 359999)))
        return 'An interval is 1 to 359999 seconds, or empty.';
    return '';
}

export const toModels = (rows: KindRow[], models: DeviceModel[]) =>
    rows.map((row) => {
        const telemetry = models.find((model) => model.Id === row.model)?.Telemetry ?? [];
        const Interval = row.interval && intervalText(Number(row.interval));
        return {
            Id: row.model,
            Count: Number(row.count),
            ...(Interval && { Override: { Telemetry: telemetry.map(() => ({ Interval })) } }),
        };
    });

/** When a start now would end, if its last time was fixed. */
export function againTimes(one: Simulation): { StartTime?: string; EndTime?: string } {
    if (!one.EndTime) return {};
    const seconds = Math.max(1, Math.round((Date.parse(one.EndTime) - Date.parse(one.StartTime)) / 1000));
    return { StartTime: 'NOW', EndTime: `NOW+PT${seconds}S` };
}

/* ---- a model of a few sensors ---- */

export interface SensorRow {
    name: string;
    behaviour: string;
    min: string;
    max: string;
    unit: string;
}
export const behaviours: [string, string][] = [
    ['Math.Random.WithinRange', 'Random'],
    ['Math.Increasing', 'Increment'],
    ['Math.Decreasing', 'Decrement'],
];
const number = (text: string) => text.trim() !== '' && Number.isFinite(Number(text));

export function wrongSensors(rows: SensorRow[]): string {
    if (rows.length === 0 || rows.length > SENSORS_MAX) return `A model has 1 to ${SENSORS_MAX} sensors.`;
    if (rows.some((row) => !/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(row.name)))
        return 'A sensor’s name is letters, digits and _, and begins with a letter.';
    if (new Set(rows.flatMap((row) => [row.name, `${row.name}_unit`])).size < 2 * rows.length)
        return 'Each sensor has a name of its own.';
    if (rows.some((row) => !number(row.min) || !number(row.max))) return 'Min and Max are numbers.';
    if (rows.some((row) => Number(row.min) > Number(row.max))) return 'Max is not below Min.';
    return '';
}
export const wrongModelId = (id: string) =>
    /^[A-Za-z0-9_.-]{1,64}$/.test(id) ? '' : 'Id is 1 to 64 letters, digits, and any of - _ .';

/** One step of a hundredth of the range, where it goes up or down. */
export function sensorModel(
    about: { id: string; name: string; description: string; interval: string },
    rows: SensorRow[],
) {
    const Interval = intervalText(Number(about.interval));
    const state = Object.fromEntries(
        rows.flatMap((row) => [
            [row.name, Number(row.behaviour === 'Math.Decreasing' ? row.max : row.min)],
            [`${row.name}_unit`, row.unit],
        ]),
    );
    const scripts = behaviours.flatMap(([Path]) => {
        const own = rows.filter((row) => row.behaviour === Path);
        const range = (row: SensorRow) => {
            const [Min, Max] = [Number(row.min), Number(row.max)];
            return { Min, Max, ...(Path !== 'Math.Random.WithinRange' && { Step: (Max - Min) / 100 }) };
        };
        const Params = Object.fromEntries(own.map((row) => [row.name, range(row)]));
        return own.length ? [{ Type: 'internal', Path, Params }] : [];
    });
    const members = rows.map((row) => `"${row.name}":\${${row.name}},"${row.name}_unit":"\${${row.name}_unit}"`);
    return {
        SchemaVersion: '1.0.0',
        Id: about.id,
        Version: '0.0.1',
        Name: about.name,
        Description: about.description,
        Protocol: 'AMQP',
        Simulation: { InitialState: { online: true, ...state }, Interval, Scripts: scripts },
        Properties: { Type: about.name },
        Telemetry: [
            {
                Interval,
                MessageTemplate: `{${members.join(',')}}`,
                MessageSchema: {
                    Name: `${about.id};v1`,
                    Format: 'JSON',
                    Fields: Object.fromEntries(
                        rows.flatMap((row) => [
                            [row.name, 'Double'],
                            [`${row.name}_unit`, 'Text'],
                        ]),
                    ),
                },
            },
        ],
    };
}
