import { useState } from 'preact/hooks';
import { type Doc, type Page } from '../api';
import { setQuery, useRoute } from '../route';
import { Choice, Denied, Failure, Field, messageOf, Show, useApi } from '../ui';

const examples: [string, string][] = [
    ['SELECT * FROM devices', 'Devices'],
    ['SELECT * FROM devices.modules', 'Modules'],
    ['SELECT * FROM devices.jobs', 'Jobs of devices'],
    ['SELECT status, COUNT() AS number FROM devices GROUP BY status', 'Devices by status'],
];
const PER_PAGE = 25;

export function QueryPage() {
    const api = useApi();
    const route = useRoute();
    const [text, setText] = useState(route.query.get('q') ?? examples[0]?.[0] ?? '');
    const [ran, setRan] = useState('');
    const [places, setPlaces] = useState<(string | null)[]>([]); // where each page begins
    const [page, setPage] = useState<Page<Doc> | null>(null);
    const [failure, setFailure] = useState('');
    const [busy, setBusy] = useState(false);
    if (!api.can('service')) return <Denied what="query (it lacks ServiceConnect)" />;
    const run = async (query: string, before: (string | null)[], at: string | null) => {
        setBusy(true);
        setFailure('');
        try {
            setPage(await api.query(query, at, PER_PAGE));
            setPlaces([...before, at]);
            setRan(query);
            setQuery({ q: query });
        } catch (error) {
            setPage(null);
            setFailure(messageOf(error));
        }
        setBusy(false);
    };
    return (
        <>
            <h1>Query explorer</h1>
            <section class="panel">
                <form
                    onSubmit={(event) => {
                        event.preventDefault();
                        void run(text, [], null);
                    }}
                >
                    <Choice
                        label="Begin with"
                        value={examples.some(([query]) => query === text) ? text : ''}
                        set={setText}
                        of={[['', 'Your own'], ...examples]}
                    />
                    <Field label="Query" hint="Ctrl+Enter runs it. EXPLAIN in front tells how it would be read.">
                        {(id, described) => (
                            <textarea
                                id={id}
                                rows={4}
                                value={text}
                                spellcheck={false}
                                aria-describedby={described}
                                data-search=""
                                onInput={(event) => setText(event.currentTarget.value)}
                                onKeyDown={(event) => {
                                    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                                        void run(text, [], null);
                                }}
                            />
                        )}
                    </Field>
                    <div class="actions">
                        <button class="first" disabled={busy || !text.trim()}>
                            {busy ? 'Running…' : 'Run'}
                        </button>
                    </div>
                </form>
            </section>
            <Failure text={failure} />
            {page && (
                <section class="panel">
                    <div class="head">
                        <h2>
                            Page {places.length}, {page.items.length} result{page.items.length === 1 ? '' : 's'}
                        </h2>
                        <div class="actions">
                            <button
                                type="button"
                                disabled={busy || places.length < 2}
                                onClick={() => void run(ran, places.slice(0, -2), places.at(-2) ?? null)}
                            >
                                Previous
                            </button>
                            <button
                                type="button"
                                disabled={busy || !page.continuation}
                                onClick={() => void run(ran, places, page.continuation)}
                            >
                                Next
                            </button>
                        </div>
                    </div>
                    {page.items.length ? (
                        <Show label="Results" value={page.items} />
                    ) : (
                        <p class="empty">Nothing is selected.</p>
                    )}
                </section>
            )}
        </>
    );
}
