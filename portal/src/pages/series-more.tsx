// Beside the explorer's chart: statistics of a stretch, views that are kept, links.
import { useMemo, useState } from 'preact/hooks';
import { numberText, timeText } from '../logic/axes';
import {
    lineText,
    rowsOf,
    statistics,
    statisticsQuery,
    writeView,
    type Answer,
    type Line,
    type Span,
    type View,
} from '../logic/explorer';
import { FormDialog } from '../forms';
import { href } from '../route';
import { askSeries, lineKey, type LoadedLines } from '../series-data';
import { Failure, notify, RowButton, Table, Text, useApi, useLoad } from '../ui';

const ROWS_MAX = 500; // of a table; files have all

/** What lines have, a row for each time. */
export function ValueRows(props: { lines: Line[]; loaded: LoadedLines; utc: boolean }) {
    const { lines, loaded } = props;
    const rows = useMemo(() => rowsOf(lines.map((line) => loaded.points.get(lineKey(line)))), [lines, loaded.points]);
    return (
        <>
            <Table
                label="Values"
                rows={rows.slice(0, ROWS_MAX)}
                loading={loaded.loading}
                empty="No values in this time."
                columns={[
                    { name: 'Time', cell: (row) => timeText(row.at, props.utc, loaded.interval) },
                    ...lines.map((line, i) => ({
                        name: lineText(line),
                        number: true,
                        cell: (row: { values: (number | null)[] }) => numberText(row.values[i]),
                    })),
                ]}
            />
            {rows.length > ROWS_MAX && (
                <p class="quiet" role="status">
                    The first {ROWS_MAX} of {rows.length.toLocaleString()}; a file has all.
                </p>
            )}
        </>
    );
}

/** Of each line all that it had in a span, computed by the hub of every value. */
export function Statistics(props: { lines: Line[]; span: Span; utc: boolean; close: () => void }) {
    const api = useApi();
    const { lines, span } = props;
    const found = useLoad(
        (signal) =>
            Promise.all(
                lines.map(async (line) => {
                    const numbers: Record<string, number | null> = {};
                    await askSeries(api, statisticsQuery(line, span), signal, (answer: Answer) => {
                        for (const { name, values } of answer.properties)
                            numbers[name] = (values[0] as number | null | undefined) ?? null;
                    });
                    return { line, numbers };
                }),
            ),
        [JSON.stringify(lines), span.from, span.to],
    );
    return (
        <section class="panel">
            <div class="head">
                <h2>
                    {timeText(span.from, props.utc)} – {timeText(span.to, props.utc)}
                </h2>
                <div class="actions">
                    <button type="button" onClick={props.close}>
                        Close
                    </button>
                </div>
            </div>
            <Failure text={found.error} retry={found.reload} />
            <Table
                label="Statistics"
                rows={found.data ?? []}
                loading={found.loading}
                empty="No lines are shown."
                columns={[
                    { name: 'Line', cell: ({ line }) => lineText({ ...line, aggregate: 'avg', signal: '' }) },
                    ...statistics.map((name) => ({
                        name,
                        number: true,
                        cell: (row: { numbers: Record<string, number | null> }) => numberText(row.numbers[name]),
                    })),
                ]}
            />
        </section>
    );
}

/** The address of a view. */
export function viewHref(view: View): string {
    const query = new URLSearchParams(Object.entries(writeView(view)).filter(([, value]) => value));
    return href('series') + (query.size ? `?${query}` : '');
}

/* ---- views that this browser keeps ---- */

const KEPT = 'skerry-views';
const KEPT_MAX = 100;
interface Kept {
    host: string;
    name: string;
    at: string; // the view's address
}

function readKept(): Kept[] {
    try {
        const list = JSON.parse(localStorage.getItem(KEPT) ?? '[]') as unknown;
        if (!Array.isArray(list)) return [];
        return list.filter(
            (one: Partial<Kept> | null) =>
                typeof one?.host === 'string' &&
                typeof one.name === 'string' &&
                typeof one.at === 'string' &&
                one.at.startsWith(href('series')),
        ) as Kept[];
    } catch {
        return [];
    }
}

export function SavedViews(props: { view: View; close: () => void }) {
    const { host } = useApi().session;
    const [all, setAll] = useState(readKept);
    const [name, setName] = useState('');
    const own = all.filter((one) => one.host === host);
    const there = own.some((one) => one.name === name.trim());
    const write = (next: Kept[]) => {
        localStorage.setItem(KEPT, JSON.stringify(next)); // throws where the browser keeps nothing
        setAll(next);
    };
    const save = () => {
        const next = { host, name: name.trim(), at: viewHref(props.view) };
        write([...all.filter((one) => one.host !== host || one.name !== next.name), next]);
        notify(`${next.name} is saved.`);
        return Promise.resolve();
    };
    return (
        <FormDialog
            title="Views"
            action={there ? 'Replace' : 'Save this view'}
            ready={Boolean(name.trim()) && (there || own.length < KEPT_MAX)}
            close={props.close}
            send={save}
        >
            {own.length > 0 && (
                <ul class="kept">
                    {own.map((one) => (
                        <li key={one.name}>
                            <a href={one.at} onClick={props.close}>
                                {one.name}
                            </a>
                            <RowButton
                                act="Delete"
                                of={one.name}
                                danger
                                click={() => write(all.filter((other) => other !== one))}
                            />
                        </li>
                    ))}
                </ul>
            )}
            <Text
                label="Name"
                value={name}
                set={setName}
                hint={`This browser keeps at most ${KEPT_MAX} views of ${host}.`}
            />
        </FormDialog>
    );
}
