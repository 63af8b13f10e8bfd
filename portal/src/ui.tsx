// What pages are made of. All that a device has said goes through here as text; nothing makes HTML of it.
import { createContext, type ComponentChildren } from 'preact';
import { useCallback, useContext, useEffect, useId, useRef, useState } from 'preact/hooks';
import type { Api } from './api';
import { diffLines } from './logic/json';

export const ApiContext = createContext<Api | null>(null);

export function useApi(): Api {
    const api = useContext(ApiContext);
    if (!api) throw new Error('nobody is signed in');
    return api;
}

export const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export interface Loaded<T> {
    data: T | null;
    error: string;
    loading: boolean;
    reload: () => void;
}

/** What `load` gives, anew with each change of `inputs`, and of `tick`, which asks the same again: what was there stays, also when that fails.
 *  An answer that comes too late is dropped. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, inputs: unknown[], tick = 0): Loaded<T> {
    const [state, setState] = useState<{ data: T | null; error: string; loading: boolean }>({
        data: null,
        error: '',
        loading: true,
    });
    const [turn, setTurn] = useState(0);
    const asked = useRef<unknown[]>([]);
    useEffect(() => {
        const end = new AbortController();
        const again = inputs.every((input, i) => input === asked.current[i]);
        asked.current = inputs;
        setState((before) => ({ ...before, loading: true, error: '' }));
        load(end.signal)
            .then((data) => !end.signal.aborted && setState({ data, error: '', loading: false }))
            .catch((error: unknown) => {
                if (!end.signal.aborted)
                    setState((before) => ({
                        data: again ? before.data : null,
                        error: messageOf(error),
                        loading: false,
                    }));
            });
        return () => end.abort();
    }, [...inputs, turn, tick]);
    return { ...state, reload: useCallback(() => setTurn((n) => n + 1), []) };
}

/* ---- toasts: the polite live region says them once ---- */

interface Toast {
    id: number;
    text: string;
    bad: boolean;
}
let toasts: Toast[] = [];
let nextToast = 1;
const listeners = new Set<() => void>();
const TOAST_MS = 7000;

export function notify(text: string, bad = false) {
    const toast = { id: nextToast++, text, bad };
    toasts = [...toasts.slice(-3), toast];
    listeners.forEach((listener) => listener());
    setTimeout(() => {
        toasts = toasts.filter((other) => other !== toast);
        listeners.forEach((listener) => listener());
    }, TOAST_MS);
}

export function Toasts() {
    const [, draw] = useState(0);
    useEffect(() => {
        const listener = () => draw((n) => n + 1);
        listeners.add(listener);
        return () => void listeners.delete(listener);
    }, []);
    return (
        <div class="toasts" role="status" aria-live="polite">
            {toasts.map((toast) => (
                <div key={toast.id} class={`note ${toast.bad ? 'bad' : ''}`}>
                    {toast.text}
                </div>
            ))}
        </div>
    );
}

/* ---- small things ---- */

export function Pill(props: { kind?: 'good' | 'bad' | 'warn' | ''; children: ComponentChildren }) {
    const signs = { good: '●', bad: '▲', warn: '◆', '': '○' };
    const kind = props.kind ?? '';
    return (
        <span class={`pill ${kind}`}>
            <span aria-hidden="true">{signs[kind]}</span>
            {props.children}
        </span>
    );
}

export function Failure(props: { text: string; retry?: () => void }) {
    if (!props.text) return null;
    return (
        <div class="note bad" role="alert">
            {props.text}{' '}
            {props.retry && (
                <button type="button" class="small" onClick={props.retry}>
                    Try again
                </button>
            )}
        </div>
    );
}

export function Shimmer(props: { lines?: number }) {
    return (
        <div class="stack" aria-hidden="true">
            {Array.from({ length: props.lines ?? 4 }, (_, i) => (
                <span key={i} class="shimmer" />
            ))}
        </div>
    );
}

export function Denied(props: { what: string }) {
    return <p class="note warn">This policy may not {props.what}.</p>;
}

/** A time as people here read it, with UTC in the tooltip; "--" where there is none. */
export function When(props: { at: unknown; short?: boolean }) {
    const text = typeof props.at === 'string' ? props.at : '';
    const date = new Date(/Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`);
    if (!text || text.startsWith('0001-') || Number.isNaN(date.getTime())) return <span class="quiet">--</span>;
    return (
        <time dateTime={date.toISOString()} title={date.toISOString()}>
            {date.toLocaleString(undefined, {
                dateStyle: 'medium',
                timeStyle: props.short ? 'short' : 'medium',
            })}
        </time>
    );
}

export function Copy(props: { text: string; label: string; long?: boolean }) {
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(props.text);
            notify(`${props.label} copied.`);
        } catch {
            notify('The browser does not let the page copy.', true);
        }
    };
    return (
        <button
            type="button"
            class={props.long ? undefined : 'small'}
            onClick={() => void copy()}
            aria-label={`Copy ${props.label}`}
        >
            {props.long ? `Copy ${props.label}` : 'Copy'}
        </button>
    );
}

export function Secret(props: { text: string; label: string }) {
    const [shown, show] = useState(false);
    if (!props.text) return <span class="quiet">--</span>;
    return (
        <span class="actions">
            <code>{shown ? props.text : '••••••••••••'}</code>
            <button
                type="button"
                class="small"
                aria-pressed={shown}
                aria-label={`Show ${props.label}`}
                onClick={() => show(!shown)}
            >
                {shown ? 'Hide' : 'Show'}
            </button>
            <Copy text={props.text} label={props.label} />
        </span>
    );
}

interface FieldProps {
    label: string;
    hint?: string;
    wrong?: string;
    class?: string;
    children: (id: string, described: string | undefined) => ComponentChildren;
}
export function Field(props: FieldProps) {
    const id = useId();
    return (
        <div class={`field ${props.class ?? ''}`}>
            <label for={id}>{props.label}</label>
            {props.children(id, props.hint || props.wrong ? `${id}-hint` : undefined)}
            {(props.wrong || props.hint) && (
                <div id={`${id}-hint`} class={props.wrong ? 'wrong' : 'hint'}>
                    {props.wrong || props.hint}
                </div>
            )}
        </div>
    );
}

interface TextProps {
    label: string;
    value: string;
    set: (value: string) => void;
    hint?: string;
    wrong?: string;
    class?: string;
    type?: string;
    required?: boolean;
    placeholder?: string;
    search?: boolean;
}
export function Text(props: TextProps) {
    return (
        <Field label={props.label} hint={props.hint} wrong={props.wrong} class={props.class}>
            {(id, described) => (
                <input
                    id={id}
                    type={props.type ?? 'text'}
                    value={props.value}
                    required={props.required}
                    placeholder={props.placeholder}
                    autocomplete="off"
                    spellcheck={false}
                    aria-describedby={described}
                    aria-invalid={props.wrong ? 'true' : undefined}
                    data-search={props.search ? '' : undefined}
                    onInput={(event) => props.set(event.currentTarget.value)}
                />
            )}
        </Field>
    );
}

export function Choice(props: {
    label: string;
    value: string;
    set: (value: string) => void;
    of: [string, string][];
    wrong?: string;
    class?: string;
}) {
    return (
        <Field label={props.label} wrong={props.wrong} class={props.class}>
            {(id, described) => (
                <select
                    id={id}
                    value={props.value}
                    aria-describedby={described}
                    aria-invalid={props.wrong ? 'true' : undefined}
                    onChange={(event) => props.set(event.currentTarget.value)}
                >
                    {props.of.map(([value, text]) => (
                        <option key={value} value={value}>
                            {text}
                        </option>
                    ))}
                </select>
            )}
        </Field>
    );
}

export function Switch(props: { label: string; on: boolean; set: (on: boolean) => void; disabled?: boolean }) {
    return (
        <button
            type="button"
            class="switch"
            role="switch"
            aria-checked={props.on}
            aria-label={props.label}
            disabled={props.disabled}
            onClick={() => props.set(!props.on)}
        >
            <span aria-hidden="true" />
            {props.on ? 'On' : 'Off'}
        </button>
    );
}

export function Area(props: {
    label: string;
    value: string;
    set: (value: string) => void;
    rows: number;
    hint?: string;
    wrong?: string;
}) {
    return (
        <Field label={props.label} hint={props.hint} wrong={props.wrong}>
            {(id, described) => (
                <textarea
                    id={id}
                    rows={props.rows}
                    value={props.value}
                    spellcheck={false}
                    aria-describedby={described}
                    aria-invalid={props.wrong ? 'true' : undefined}
                    onInput={(event) => props.set(event.currentTarget.value)}
                />
            )}
        </Field>
    );
}

/** Modal; Escape and the backdrop close it. */
export function Dialog(props: { title: string; close: () => void; children: ComponentChildren }) {
    const box = useRef<HTMLDialogElement>(null);
    const id = useId();
    useEffect(() => box.current?.showModal(), []);
    return (
        <dialog
            ref={box}
            aria-labelledby={id}
            onClose={props.close}
            onClick={(event) => event.target === box.current && box.current?.close()}
        >
            <div class="stack">
                <h2 id={id}>{props.title}</h2>
                {props.children}
            </div>
        </dialog>
    );
}

// A page's name, and what is done with all of it, Refresh the last.
export function PageHead(props: { title: string; reload: () => void; children?: ComponentChildren }) {
    return (
        <div class="head">
            <h1>{props.title}</h1>
            <div class="actions">
                {props.children}
                <button type="button" onClick={props.reload}>
                    Refresh
                </button>
            </div>
        </div>
    );
}

// What is done with one row of a table: its word, and for who does not see the row what it is about.
export function RowButton(props: { act: string; of: string; danger?: boolean; click: () => void }) {
    return (
        <button
            type="button"
            class={props.danger ? 'small danger' : 'small'}
            aria-label={`${props.act} ${props.of}`}
            onClick={props.click}
        >
            {props.act}
        </button>
    );
}

export function Tabs(props: { label: string; of: [string, string][]; at: string }) {
    return (
        <nav class="tabs" aria-label={props.label}>
            {props.of.map(([to, text]) => (
                <a key={to} href={to} aria-current={to === props.at ? 'page' : undefined}>
                    {text}
                </a>
            ))}
        </nav>
    );
}

export interface Column<T> {
    name: string;
    cell: (row: T) => ComponentChildren;
    number?: boolean;
    wrap?: boolean;
    pick?: boolean; // holds a checkbox; its name is only heard
}

export function Table<T>(props: { label: string; columns: Column<T>[]; rows: T[]; empty: string; loading?: boolean }) {
    const classOf = (column: Column<T>) =>
        column.number ? 'number' : column.pick ? 'pick' : column.wrap ? 'wrap' : undefined;
    return (
        <div class="table" tabIndex={0} role="region" aria-label={props.label}>
            <table>
                <thead>
                    <tr>
                        {props.columns.map((column) => (
                            <th key={column.name} scope="col" class={column.wrap ? undefined : classOf(column)}>
                                {column.pick ? <span class="unseen">{column.name}</span> : column.name}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>
                    {props.rows.map((row, i) => (
                        <tr key={i}>
                            {props.columns.map((column) => (
                                <td key={column.name} class={classOf(column)}>
                                    {column.cell(row)}
                                </td>
                            ))}
                        </tr>
                    ))}
                </tbody>
            </table>
            {props.rows.length === 0 && (
                <div class="empty" role="status">
                    {props.loading ? 'Loading…' : props.empty}
                </div>
            )}
        </div>
    );
}

export function Diff(props: { before: string; after: string }) {
    const signs = { '+': 'plus', '-': 'minus', ' ': '' };
    return (
        <div class="diff" tabIndex={0} role="region" aria-label="What changes">
            {diffLines(props.before, props.after).map((line, i) => (
                <div key={i} class={signs[line.sign]}>
                    {line.sign} {line.text}
                </div>
            ))}
        </div>
    );
}

export const pretty = (value: unknown) => JSON.stringify(value, null, 2);

export function Show(props: { value: unknown; label: string }) {
    return (
        <div class="diff" tabIndex={0} role="region" aria-label={props.label}>
            <div>{pretty(props.value)}</div>
        </div>
    );
}

/** What a picture shows, for who reads; made when it is opened. */
export function AsTable(props: { children: () => ComponentChildren }) {
    const [open, setOpen] = useState(false);
    return (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
            <summary>Show as table</summary>
            {open && props.children()}
        </details>
    );
}

/** A line over the last minutes, with what it says in words and as a table. */
export function Chart(props: { title: string; unit: string; points: { at: number; value: number }[] }) {
    const values = props.points.map((point) => point.value);
    const most = Math.max(1, ...values);
    const last = values.at(-1);
    const x = (i: number) => (values.length < 2 ? 0 : (i / (values.length - 1)) * 300);
    const y = (value: number) => 92 - (value / most) * 84;
    const line = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    const number = (value: number) => value.toLocaleString(undefined, { maximumFractionDigits: 1 });
    const clock = (at: number) => new Date(at).toLocaleTimeString();
    const words =
        last === undefined
            ? 'No data yet.'
            : `Now ${number(last)} ${props.unit}; at most ${number(Math.max(...values))} since ${clock(props.points[0]?.at ?? 0)}.`;
    return (
        <section class="panel chart">
            <h2>{props.title}</h2>
            <svg viewBox="0 0 300 96" preserveAspectRatio="none" role="img" aria-label={`${props.title}. ${words}`}>
                {values.length > 1 && <polygon class="area" points={`0,92 ${line} 300,92`} />}
                {values.length > 1 && <polyline points={line} />}
            </svg>
            <div class="scale">
                <span>{words}</span>
            </div>
            <AsTable>
                {() => (
                    <Table
                        label={props.title}
                        empty="No data yet."
                        rows={[...props.points].reverse().slice(0, 60)}
                        columns={[
                            { name: 'Time', cell: (point) => clock(point.at) },
                            { name: props.unit, number: true, cell: (point) => number(point.value) },
                        ]}
                    />
                )}
            </AsTable>
        </section>
    );
}
