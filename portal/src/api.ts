// The hub's REST API, as docs/protocols/service-api.md has it.
import type { Right, Session } from './session';

const VERSION = 'api-version=2021-04-12';

export class ApiError extends Error {
    constructor(
        message: string,
        public status: number,
        public code: string,
    ) {
        super(message);
    }
}

export interface Page<T> {
    items: T[];
    continuation: string | null;
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Doc = { [key: string]: Json };

export interface Ask {
    method?: string;
    body?: unknown;
    headers?: Record<string, string>;
    signal?: AbortSignal;
}

/** The sentence out of a refusal: "ErrorCode:DeviceNotFound;there is no device 'x'". */
function sentence(text: string, status: number): string {
    let said = text;
    try {
        const json = JSON.parse(text) as Doc;
        said = String(json.message ?? json.Message ?? text);
        if (said.startsWith('{')) said = String((JSON.parse(said) as Doc).message ?? said);
    } catch {
        // not JSON: as it is
    }
    said = said.replace(/^ErrorCode:[^;]*;/, '').trim();
    return said || `The hub answered ${status}.`;
}

export class Api {
    constructor(public session: Session) {}

    async raw(path: string, ask: Ask = {}): Promise<Response> {
        const headers: Record<string, string> = { Authorization: await this.session.authorization(), ...ask.headers };
        let body: BodyInit | undefined;
        if (ask.body !== undefined) {
            headers['Content-Type'] ??= 'application/json';
            body = typeof ask.body === 'string' ? ask.body : JSON.stringify(ask.body);
        }
        let answer: Response;
        try {
            answer = await fetch(path + (path.includes('?') ? '&' : '?') + VERSION, {
                method: ask.method ?? 'GET',
                headers,
                body,
                signal: ask.signal,
                credentials: 'omit',
                cache: 'no-store',
                redirect: 'error',
            });
        } catch (error) {
            if (ask.signal?.aborted) throw error;
            throw new ApiError('The hub does not answer.', 0, 'Unreachable');
        }
        if (answer.ok) return answer;
        const code = answer.headers.get('iothub-errorcode') ?? '';
        throw new ApiError(sentence(await answer.text(), answer.status), answer.status, code);
    }

    async ask<T = Doc>(path: string, ask: Ask = {}): Promise<T> {
        const answer = await this.raw(path, ask);
        const text = await answer.text();
        return (text ? JSON.parse(text) : null) as T;
    }

    async page<T = Doc>(path: string, ask: Ask, continuation?: string | null, max = 100): Promise<Page<T>> {
        const headers: Record<string, string> = { 'x-ms-max-item-count': String(max), ...ask.headers };
        if (continuation) headers['x-ms-continuation'] = continuation;
        const answer = await this.raw(path, { ...ask, headers });
        return { items: (await answer.json()) as T[], continuation: answer.headers.get('x-ms-continuation') };
    }

    query<T = Doc>(text: string, continuation?: string | null, max = 100, signal?: AbortSignal): Promise<Page<T>> {
        return this.page<T>('/devices/query', { method: 'POST', body: { query: text }, signal }, continuation, max);
    }

    /** What Azure Resource Manager has of this hub; whose subscription it is does not matter. */
    arm<T = Doc>(hub: string, rest = '', ask: Ask = {}): Promise<T> {
        return this.ask<T>(
            `/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/${enc(hub)}${rest}`,
            ask,
        );
    }

    can(right: Right): boolean {
        return this.session.rights.has(right);
    }

    /** Finds out what the token may do, by calls that change nothing; throws when it is no good at all. */
    async learnRights(): Promise<void> {
        const probes: [Right, string, Ask][] = [
            ['read', '/devices?top=1', {}],
            ['write', '/devices', { method: 'POST', body: [] }],
            ['service', '/statistics/service', {}],
        ];
        const rights = this.session.rights;
        let last: ApiError | null = null;
        const probe = async (right: Right, path: string, ask: Ask) => {
            try {
                await this.raw(path, ask);
                rights.add(right);
            } catch (error) {
                if (!(error instanceof ApiError) || error.status === 0) throw error;
                if (error.status === 401 || error.status === 403) last = error;
                else rights.add(right); // it was understood, and that needs the right
            }
        };
        await probe('owner', '/subscriptions/s/providers/Microsoft.Devices/IotHubs', {}); // takes all the others
        if (rights.has('owner')) probes.forEach(([right]) => rights.add(right));
        else await Promise.all(probes.map((one) => probe(...one)));
        if (rights.size === 0 && last) throw last;
    }
}

export const enc = encodeURIComponent;

/** A text as a literal of the query language. */
export function literal(text: string): string {
    return `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;
}

export function identityPath(device: string, module?: string): string {
    return `/devices/${enc(device)}` + (module ? `/modules/${enc(module)}` : '');
}

export function twinPath(device: string, module?: string): string {
    return `/twins/${enc(device)}` + (module ? `/modules/${enc(module)}` : '');
}
