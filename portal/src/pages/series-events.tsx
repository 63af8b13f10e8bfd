import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { timeText } from '../logic/axes';
import { csv, idText, sameId, searchSpan, type Answer, type SeriesId, type Span } from '../logic/explorer';
import { download, nextPage } from '../series-data';
import { Choice, Failure, messageOf, Table, useApi } from '../ui';

const TAKE = 250_000; // values, the most of a query
const DRAWN = 200; // rows, and so many more each time

interface Events {
    times: string[];
    columns: Map<string, unknown[]>; // as long as times
    next: string | null;
}

function append(events: Events, answer: Answer): Events {
    const before = events.times.length;
    const columns = new Map(events.columns);
    for (const { name, values } of answer.properties) {
        // Of one name there may be a Long and a Double: an event has one of them.
        const there = columns.get(name) ?? Array.from({ length: before }, () => null);
        const old = there.slice(before);
        columns.set(name, [...there.slice(0, before), ...values.map((value, i) => value ?? old[i] ?? null)]);
    }
    const times = [...events.times, ...answer.timestamps];
    for (const [name, values] of columns)
        if (values.length < times.length)
            columns.set(name, [...values, ...Array.from({ length: times.length - values.length }, () => null)]);
    return { times, columns, next: answer.continuationToken };
}

const nothing: Events = { times: [], columns: new Map(), next: null };

/** What a series has sent, event by event, the oldest first; pages as they are asked for. */
function useEvents(id: SeriesId, span: Span) {
    const api = useApi();
    const [events, setEvents] = useState<Events>(nothing);
    const [failure, setFailure] = useState('');
    const [loading, setLoading] = useState(true);
    const end = useRef<AbortController | null>(null);
    const query = { getEvents: { timeSeriesId: id, searchSpan: searchSpan(span), take: TAKE } };
    const load = async (before: Events) => {
        const mine = end.current;
        if (!mine) return;
        setLoading(true);
        setFailure('');
        try {
            const answer = await nextPage(api, query, before.next, mine.signal);
            if (end.current === mine) setEvents(append(before, answer));
        } catch (error) {
            if (end.current === mine) setFailure(messageOf(error));
        }
        if (end.current === mine) setLoading(false);
    };
    useEffect(() => {
        end.current = new AbortController();
        setEvents(nothing);
        void load(nothing);
        return () => {
            end.current?.abort();
            end.current = null;
        };
    }, [JSON.stringify(id), span.from, span.to]);
    return { events, failure, loading, more: () => load(events) };
}

export const shownValue = (value: unknown) =>
    value === null || value === undefined ? '--' : typeof value === 'string' ? value : JSON.stringify(value);

export function Events(props: { ids: SeriesId[]; span: Span; utc: boolean }) {
    const [chosen, setChosen] = useState<SeriesId | null>(null);
    const id = props.ids.find((one) => chosen && sameId(one, chosen)) ?? props.ids[0];
    if (!id) return <p class="empty">Choose a series to see its events.</p>;
    return (
        <>
            <Choice
                label="Series"
                value={JSON.stringify(id)}
                set={(text) => setChosen(JSON.parse(text) as SeriesId)}
                of={props.ids.map((one) => [JSON.stringify(one), idText(one)])}
            />
            <EventTable key={JSON.stringify(id)} id={id} span={props.span} utc={props.utc} />
        </>
    );
}

function EventTable(props: { id: SeriesId; span: Span; utc: boolean }) {
    const { events, failure, loading, more } = useEvents(props.id, props.span);
    const [left, setLeft] = useState<Set<string>>(new Set()); // columns that nobody wants to see
    const [drawn, setDrawn] = useState(DRAWN);
    const names = useMemo(() => [...events.columns.keys()].sort(), [events]);
    const shown = names.filter((name) => !left.has(name));
    const count = events.times.length;
    const value = (name: string, row: number) => events.columns.get(name)?.[row];
    const save = () => {
        const rows = events.times.map((time, i) => [time, ...shown.map((name) => value(name, i))]);
        download('events.csv', csv(['timestamp', ...shown], rows));
    };
    const toggle = (name: string, on: boolean) => {
        const next = new Set(left);
        if (on) next.delete(name);
        else next.add(name);
        setLeft(next);
    };
    return (
        <>
            <Failure text={failure} retry={() => void more()} />
            <fieldset class="columns">
                <legend>Columns</legend>
                {names.map((name) => (
                    <label key={name} class="check">
                        <input
                            type="checkbox"
                            checked={!left.has(name)}
                            onChange={(event) => toggle(name, event.currentTarget.checked)}
                        />
                        {name}
                    </label>
                ))}
            </fieldset>
            <Table
                label="Events"
                rows={Array.from({ length: Math.min(drawn, count) }, (_, i) => i)}
                loading={loading}
                empty="No events in this time."
                columns={[
                    { name: 'Time', cell: (i) => timeText(Date.parse(events.times[i] as string), props.utc, 0) },
                    ...shown.map((name) => ({
                        name,
                        number: typeof value(name, 0) === 'number',
                        cell: (i: number) => shownValue(value(name, i)),
                    })),
                ]}
            />
            <div class="actions">
                <span class="quiet" role="status">
                    {Math.min(drawn, count).toLocaleString()} of {count.toLocaleString()}
                    {events.next ? ' and more' : ''} events
                </span>
                <button
                    type="button"
                    disabled={loading || (drawn >= count && !events.next)}
                    onClick={() => {
                        if (drawn + DRAWN > count && events.next) void more();
                        setDrawn(drawn + DRAWN);
                    }}
                >
                    More
                </button>
                <button type="button" disabled={!count} onClick={save}>
                    Download CSV
                </button>
            </div>
        </>
    );
}
