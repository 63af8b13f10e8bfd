// What the hub has of time series, as pages ask for it.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Api } from './api';
import {
    lineText,
    queriesFor,
    searchSpan,
    takeAnswer,
    type Answer,
    type Line,
    type Points,
    type SeriesId,
    type Span,
} from './logic/explorer';
import type { PlotLine } from './logic/plot';
import { messageOf, useApi, useLoad } from './ui';

export const nextPage = (api: Api, query: Record<string, unknown>, continuation: string | null, signal?: AbortSignal) =>
    api.ask<Answer>('/timeseries/query', {
        method: 'POST',
        body: query,
        signal,
        headers: continuation ? { 'x-ms-continuation': continuation } : {},
    });

/** Lets the browser save a text as a file. */
export function download(name: string, text: string) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Answers of one query, page by page; `page` says whether it wants more. */
export async function askSeries(
    api: Api,
    query: Record<string, unknown>,
    signal: AbortSignal | undefined,
    page: (answer: Answer) => boolean | void,
) {
    let continuation: string | null = null;
    do {
        const answer: Answer = await nextPage(api, query, continuation, signal);
        continuation = answer.continuationToken;
        if (page(answer) === false) return;
    } while (continuation);
}

export const lineKey = (line: Line) =>
    JSON.stringify([line.id, line.property, line.aggregate, line.signal, line.band, line.shift]);

export interface LoadedLines {
    points: Map<string, Points>; // by lineKey
    span: Span | null; // that they are of
    interval: number;
    failure: string;
    loading: boolean;
}

/** The points of lines that are shown; those of before stay until the new ones are there. */
export function useLines(lines: Line[], span: Span, interval: number, turn: number): LoadedLines {
    const api = useApi();
    const [state, setState] = useState<LoadedLines>({
        points: new Map(),
        span: null,
        interval,
        failure: '',
        loading: false,
    });
    const shown = lines.filter((line) => !line.hidden);
    const key = shown.map(lineKey).join('\n');
    useEffect(() => {
        const end = new AbortController();
        setState((before) => ({ ...before, loading: true }));
        const found = new Map<number, Points>();
        const asks = queriesFor(shown, span, interval).map((asked) =>
            askSeries(api, asked.query, end.signal, (answer) => takeAnswer(found, asked, answer)),
        );
        Promise.all(asks)
            .then(() => {
                if (end.signal.aborted) return;
                const points = new Map(
                    shown.map((line, i) => [lineKey(line), found.get(i) ?? { times: [], values: [] }]),
                );
                setState({ points, span, interval, failure: '', loading: false });
            })
            .catch((error: unknown) => {
                if (!end.signal.aborted)
                    setState((before) => ({ ...before, failure: messageOf(error), loading: false }));
                end.abort();
            });
        return () => end.abort();
    }, [key, span.from, span.to, interval, turn]);
    return state;
}

/** Lines as a chart takes them. */
export const plotLinesOf = (lines: Line[], loaded: LoadedLines): PlotLine[] =>
    lines.map((line) => ({
        name: lineText(line),
        property: line.property,
        color: line.color,
        points: loaded.points.get(lineKey(line)) ?? { times: [], values: [] },
    }));

/* ---- which series there are ---- */

export interface Instance {
    timeSeriesId: SeriesId;
    name?: string; // that the model gives it
    range?: { from: string; to: string }; // none: it has no events
    events?: number;
}

export interface Place {
    name: string; // of a hierarchy, or of what is below it
    cumulativeInstanceCount: number;
}

export interface SeriesList {
    rows: Instance[];
    places: Place[]; // below the path
    total: number;
    more: boolean;
    failure: string;
    load: () => void;
    reload: () => void;
}

interface Found {
    instances: { hits: Instance[]; hitCount: number; continuationToken: string | null };
    hierarchyNodes?: { hits: Place[] };
}

const PAGE = 100; // the most that a search gives at once
const TYPING_MS = 150;

/** Series by words, below a path of a hierarchy: never more than what somebody has scrolled to. */
export function useSeriesList(search: string, path: string[]): SeriesList {
    const api = useApi();
    const fresh = { rows: [], places: [], total: 0, more: true, failure: '' };
    const [state, setState] = useState<Omit<SeriesList, 'load' | 'reload'>>(fresh);
    const [turn, setTurn] = useState(0);
    const at = useRef<{ next: string | null; busy: boolean; end: AbortController } | null>(null);
    const load = async () => {
        const mine = at.current;
        if (!mine || mine.busy) return;
        mine.busy = true;
        const asked = {
            searchString: search.trim(),
            ...(path.length && { path }),
            instances: { recursive: true, sort: { by: 'DisplayName' }, pageSize: PAGE },
            ...(!mine.next && { hierarchies: { expand: { kind: 'OneLevel' }, pageSize: PAGE } }),
            ...(mine.next && { continuationToken: mine.next }),
        };
        try {
            const found = await api.ask<Found>('/timeseries/instances/search', {
                method: 'POST',
                body: asked,
                signal: mine.end.signal,
            });
            if (at.current !== mine) return;
            const { hits, hitCount, continuationToken } = found.instances;
            mine.next = continuationToken ?? null;
            mine.busy = false;
            setState((before) => ({
                rows: [...before.rows, ...hits],
                places: found.hierarchyNodes?.hits ?? before.places,
                total: hitCount,
                more: Boolean(continuationToken),
                failure: '',
            }));
        } catch (error) {
            if (at.current === mine) setState((before) => ({ ...before, failure: messageOf(error), more: false }));
        }
    };
    useEffect(() => {
        at.current = { next: null, busy: false, end: new AbortController() };
        setState(fresh);
        const timer = setTimeout(() => void load(), TYPING_MS);
        return () => {
            clearTimeout(timer);
            at.current?.end.abort();
            at.current = null;
        };
    }, [search, path.join('\n'), turn]);
    return { ...state, load: () => void load(), reload: () => setTurn((n) => n + 1) };
}

/** One series, with when it has events; null: there is none. */
export async function instanceOf(api: Api, id: SeriesId, signal?: AbortSignal): Promise<Instance | null> {
    const answer = await api.ask<{ get: { instance?: Instance }[] }>('/timeseries/instances/$batch', {
        method: 'POST',
        body: { get: { timeSeriesIds: [id] } },
        signal,
    });
    return answer.get[0]?.instance ?? null;
}

const SAMPLE_MS = 10 * 60_000;
const SAMPLE_VALUES = 4000;
const SAMPLED = 8; // series, of many that are chosen

/** The numeric properties of a series' last minutes, by name. */
export async function propertiesOf(api: Api, one: Instance, signal?: AbortSignal): Promise<string[]> {
    if (!one.range) return [];
    const last = Date.parse(one.range.to);
    const names = new Set<string>();
    const query = {
        getEvents: {
            timeSeriesId: one.timeSeriesId,
            searchSpan: searchSpan({ from: last - SAMPLE_MS, to: last + 1 }),
            take: SAMPLE_VALUES,
        },
    };
    await askSeries(api, query, signal, (answer) => {
        for (const { name, type, values } of answer.properties)
            if ((type === 'Double' || type === 'Long') && values.some((value) => value !== null)) names.add(name);
        return false;
    });
    return [...names].sort();
}

/** Numeric properties of what is chosen, and those that others have. */
export function useProperties(chosen: Instance[]) {
    const api = useApi();
    const known = useRef(new Map<string, string[]>());
    const sampled = chosen.slice(0, SAMPLED);
    const key = JSON.stringify(sampled.map((one) => one.timeSeriesId));
    return useLoad(
        async (signal) => {
            const own = new Set<string>();
            for (const one of sampled) {
                const id = JSON.stringify(one.timeSeriesId);
                const names = known.current.get(id) ?? (await propertiesOf(api, one, signal));
                known.current.set(id, names);
                names.forEach((name) => own.add(name));
            }
            const all = await schemaOf(api, signal);
            return { own: [...own].sort(), others: all.filter((name) => !own.has(name)) };
        },
        [key],
    );
}

/** The numeric properties that any series has. */
async function schemaOf(api: Api, signal: AbortSignal): Promise<string[]> {
    const { properties } = await api.ask<{ properties: { name: string; type: string }[] }>('/eventSchema', {
        method: 'POST',
        body: { searchSpan: searchSpan({ from: 0, to: Date.now() }) },
        signal,
    });
    const numeric = properties.filter(({ type }) => type === 'Double' || type === 'Long');
    return [...new Set(numeric.map(({ name }) => name))].sort();
}

/* ---- when there are events ---- */

export interface Availability {
    from: number;
    to: number;
    width: number; // ms
    bars: { at: number; events: number }[];
}

export function useAvailability(turn: number) {
    const api = useApi();
    return useLoad<Availability | null>(async () => {
        const { availability } = await api.ask<{
            availability: {
                distribution: Record<string, number>;
                range: { from: string; to: string };
                intervalSize: string;
            } | null;
        }>('/availability');
        if (!availability) return null;
        const bars = Object.entries(availability.distribution).map(([at, events]) => ({ at: Date.parse(at), events }));
        const minutes = Number(/^PT(\d+)M$/.exec(availability.intervalSize)?.[1] ?? 1);
        return {
            from: Date.parse(availability.range.from),
            to: Date.parse(availability.range.to),
            width: minutes * 60_000,
            bars,
        };
    }, [turn]);
}
