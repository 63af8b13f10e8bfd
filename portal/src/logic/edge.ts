// What the twins of $edgeAgent and $edgeHub say of an edge device. No browser in here.

type Doc = { [key: string]: unknown };
const doc = (value: unknown): Doc => (typeof value === 'object' && value !== null ? (value as Doc) : {});
const entries = (value: unknown) => Object.entries(doc(value)).filter(([name]) => !name.startsWith('$'));

export interface EdgeModule {
    name: string;
    system: boolean;
    specified: boolean;
    reported: boolean;
    status: string;
    exitCode: string;
    started: string;
    image: string;
}

const UNHEALTHY = ['failed', 'unhealthy', 'backoff', 'unknown'];

const meanings: Record<string, string> = {
    200: 'OK',
    400: 'the configuration is malformed',
    406: 'the device is offline or silent',
    412: 'the schema version is invalid',
    417: 'no deployment configuration is set',
    500: 'an error in the runtime',
};

/** "200 - OK", or "N/A" of one that has never reported. */
export function runtimeResponse(reported: unknown): { code: string; text: string } {
    const status = doc(doc(reported).lastDesiredStatus);
    if (status.code === undefined) return { code: '', text: 'N/A' };
    const code = String(status.code);
    const said = String(status.description ?? '') || meanings[code] || 'unknown';
    return { code, text: `${code} - ${said}` };
}

/** Those of the deployment and those that the device reports. */
export function edgeModules(desired: unknown, reported: unknown): EdgeModule[] {
    const found = new Map<string, EdgeModule>();
    for (const [of, system] of [
        ['systemModules', true],
        ['modules', false],
    ] as const) {
        const wanted = new Map(entries(doc(desired)[of]));
        const told = new Map(entries(doc(reported)[of]));
        for (const name of new Set([...(system ? ['edgeAgent', 'edgeHub'] : []), ...wanted.keys(), ...told.keys()])) {
            const now = doc(told.get(name));
            const settings = doc(now.settings ?? doc(wanted.get(name)).settings);
            found.set((system ? '$' : '') + name, {
                name: (system ? '$' : '') + name,
                system,
                specified: wanted.has(name),
                reported: told.has(name),
                status: String(now.runtimeStatus ?? ''),
                exitCode: now.exitCode === undefined ? '' : String(now.exitCode),
                started: String(now.lastStartTimeUtc ?? ''),
                image: String(settings.image ?? (Array.isArray(settings.command) ? settings.command.join(' ') : '')),
            });
        }
    }
    return [...found.values()];
}

export const isUnhealthy = (module: EdgeModule) => UNHEALTHY.includes(module.status);

/** Clients of the edge's hub, as "id, status". */
export function edgeClients(reported: unknown): { id: string; type: string; status: string }[] {
    return entries(doc(reported).clients).map(([id, client]) => ({
        id,
        type: id.includes('/') ? 'Module' : 'Device',
        status: String(doc(client).status ?? ''),
    }));
}
