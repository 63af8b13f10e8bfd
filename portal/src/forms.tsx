// What forms, wizards and the dialogs that change something are made of.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Choice, Dialog, Failure, messageOf, Text } from './ui';

/** Does one thing at a time, and knows why the last one failed. */
export function useAct() {
    const [busy, setBusy] = useState(false);
    const [failure, setFailure] = useState('');
    const act = async (what: () => Promise<void>) => {
        setBusy(true);
        setFailure('');
        try {
            await what();
        } catch (error) {
            setFailure(messageOf(error));
        }
        setBusy(false);
    };
    return { busy, failure, act };
}

export interface FormDialogProps {
    title: string;
    action: string; // what the button says
    danger?: boolean;
    ready?: boolean;
    close: () => void;
    send: () => Promise<void>; // the dialog closes after it, or says why it failed
    children?: ComponentChildren;
}

/** A form in a dialog, or a question before something that cannot be undone. */
export function FormDialog(props: FormDialogProps) {
    const { busy, failure, act } = useAct();
    const ready = props.ready ?? true;
    return (
        <Dialog title={props.title} close={props.close}>
            <form
                onSubmit={(event) => {
                    event.preventDefault();
                    if (ready && !busy) void act(async () => (await props.send(), props.close()));
                }}
            >
                {props.children}
                <Failure text={failure} />
                <div class="actions">
                    <button type="button" onClick={props.close}>
                        Cancel
                    </button>
                    <button class={props.danger ? 'danger' : 'first'} disabled={busy || !ready}>
                        {props.action}
                    </button>
                </div>
            </form>
        </Dialog>
    );
}

/** The question before one thing is deleted. */
export function DeleteDialog(props: { what: string } & Omit<FormDialogProps, 'title' | 'action' | 'danger'>) {
    return <FormDialog {...props} title={`Delete ${props.what}?`} action="Delete" danger />;
}

export function Check(props: { label: string; value: boolean; set: (value: boolean) => void; disabled?: boolean }) {
    return (
        <label class="check">
            <input
                type="checkbox"
                checked={props.value}
                disabled={props.disabled}
                onChange={(event) => props.set(event.currentTarget.checked)}
            />
            {props.label}
        </label>
    );
}

export interface RowField {
    key: string;
    label: string;
    of?: [string, string][];
    wide?: boolean;
    secret?: boolean;
    wrong?: (value: string) => string;
}
export type Row = Record<string, string>;

const movedUp = (rows: Row[], at: number) => [
    ...rows.slice(0, at - 1),
    ...rows.slice(at, at + 1),
    ...rows.slice(at - 1, at),
    ...rows.slice(at + 1),
];

/** A list of small things, each a line of fields. */
export function Rows(props: {
    legend: string;
    one: string; // "label": what a line is
    fields: RowField[];
    rows: Row[];
    set: (rows: Row[]) => void;
    most?: number;
    hint?: string;
    ordered?: boolean; // their order counts
}) {
    const change = (at: number, key: string, value: string) =>
        props.set(props.rows.map((row, i) => (i === at ? { ...row, [key]: value } : row)));
    const fresh = Object.fromEntries(props.fields.map((field) => [field.key, field.of?.[0]?.[0] ?? '']));
    return (
        <fieldset class="rows">
            <legend>{props.legend}</legend>
            {props.hint && <p class="quiet">{props.hint}</p>}
            {props.rows.map((row, i) => (
                <div key={i} class="row" role="group" aria-label={`${props.one} ${i + 1}`}>
                    {props.fields.map((field) => {
                        const common = {
                            label: field.label,
                            value: row[field.key] ?? '',
                            set: (value: string) => change(i, field.key, value),
                            class: field.wide ? 'grow wide' : 'grow',
                        };
                        return field.of ? (
                            <Choice {...common} of={field.of} />
                        ) : (
                            <Text
                                {...common}
                                type={field.secret ? 'password' : undefined}
                                wrong={common.value ? field.wrong?.(common.value) : ''}
                            />
                        );
                    })}
                    {props.ordered && (
                        <button
                            type="button"
                            disabled={i === 0}
                            aria-label={`Move ${props.one} ${i + 1} up`}
                            onClick={() => props.set(movedUp(props.rows, i))}
                        >
                            ↑
                        </button>
                    )}
                    <button
                        type="button"
                        class="danger"
                        aria-label={`Remove ${props.one} ${i + 1}`}
                        onClick={() => props.set(props.rows.filter((_, other) => other !== i))}
                    >
                        Remove
                    </button>
                </div>
            ))}
            {props.rows.length < (props.most ?? Infinity) && (
                <div class="actions">
                    <button type="button" class="small" onClick={() => props.set([...props.rows, fresh])}>
                        Add a {props.one}
                    </button>
                </div>
            )}
        </fieldset>
    );
}

export interface Step {
    name: string;
    wrong?: string; // why it cannot go on from here
    body: () => ComponentChildren;
}

export function Wizard(props: { steps: Step[]; action: string; finish: () => Promise<void> }) {
    const [at, setAt] = useState(0);
    const { busy, failure, act } = useAct();
    const firstWrong = props.steps.findIndex((step) => step.wrong);
    const open = firstWrong < 0 ? props.steps.length : firstWrong; // the last step that may be shown
    const panel = useRef<HTMLElement>(null);
    const moved = useRef(false);
    useEffect(() => {
        if (moved.current) panel.current?.focus(); // so that whoever listens hears where he is
        moved.current = true;
    }, [at]);
    const now = props.steps[at];
    const last = at === props.steps.length - 1;
    if (!now) return null;
    return (
        <>
            <nav aria-label="Steps">
                <ol class="steps">
                    {props.steps.map((step, i) => (
                        <li key={step.name}>
                            <button
                                type="button"
                                aria-current={i === at ? 'step' : undefined}
                                disabled={i > open}
                                onClick={() => setAt(i)}
                            >
                                <span aria-hidden="true">{i + 1}</span> {step.name}
                            </button>
                        </li>
                    ))}
                </ol>
            </nav>
            <section
                ref={panel}
                class="panel"
                role="group"
                tabIndex={-1}
                aria-label={`Step ${at + 1} of ${props.steps.length}: ${now.name}`}
            >
                {now.body()}
                <Failure text={last ? failure : ''} />
                {now.wrong && (
                    <p class="wrong" role="status">
                        {now.wrong}
                    </p>
                )}
                <div class="actions">
                    <button type="button" disabled={at === 0} onClick={() => setAt(at - 1)}>
                        Back
                    </button>
                    {last ? (
                        <button
                            type="button"
                            class="first"
                            disabled={busy || firstWrong >= 0}
                            onClick={() => void act(props.finish)}
                        >
                            {props.action}
                        </button>
                    ) : (
                        <button type="button" class="first" disabled={Boolean(now.wrong)} onClick={() => setAt(at + 1)}>
                            Next
                        </button>
                    )}
                </div>
            </section>
        </>
    );
}

/** Pages that are asked for one after the other. */
export function Pager(props: {
    from: string | null;
    next: string | null | undefined;
    set: (at: string | null) => void;
}) {
    if (!props.from && !props.next) return null;
    return (
        <div class="actions">
            <button type="button" disabled={!props.from} onClick={() => props.set(null)}>
                First page
            </button>
            <button type="button" disabled={!props.next} onClick={() => props.set(props.next ?? null)}>
                Next page
            </button>
        </div>
    );
}

/** Under fields that are saved together. */
export function SaveRow(props: {
    dirty: boolean;
    wrong?: string;
    busy: boolean;
    save: () => void;
    discard: () => void;
}) {
    return (
        <div class="actions">
            <button
                type="button"
                class="first"
                disabled={!props.dirty || Boolean(props.wrong) || props.busy}
                onClick={props.save}
            >
                Save
            </button>
            {props.dirty && (
                <button type="button" onClick={props.discard}>
                    Discard
                </button>
            )}
            {props.dirty && props.wrong && (
                <span class="wrong" role="status">
                    {props.wrong}
                </span>
            )}
        </div>
    );
}
