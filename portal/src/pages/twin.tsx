import { useEffect, useState } from 'preact/hooks';
import { twinPath, type Doc } from '../api';
import { mergePatch, readObject, withoutMetadata, type Tree } from '../logic/json';
import { LiveBar, useNotices } from '../notices';
import { Area, Denied, Dialog, Diff, Failure, messageOf, notify, pretty, Shimmer, Show, useApi, useLoad } from '../ui';

/** What of a twin services change. */
function editable(twin: Doc): Tree {
    const properties = (twin.properties ?? {}) as Doc;
    const desired = withoutMetadata(properties.desired);
    return 'tags' in twin ? { tags: withoutMetadata(twin.tags), properties: { desired } } : { properties: { desired } };
}

export function TwinTab(props: { device: string; module?: string }) {
    const api = useApi();
    const path = twinPath(props.device, props.module);
    const live = useNotices('TwinChangeEvents', { device: props.device });
    const [behind, setBehind] = useState(false); // it has changed, and somebody is writing
    const twin = useLoad(() => (api.can('service') ? api.ask(path) : Promise.resolve(null)), [path]);
    const [text, setText] = useState('');
    const [asked, setAsked] = useState<Tree | null>(null);
    const [failure, setFailure] = useState('');
    const stored = twin.data ? editable(twin.data) : null;
    useEffect(() => {
        if (stored) setText(pretty(stored));
        setBehind(false);
    }, [twin.data]);
    useEffect(() => {
        if (!live.tick || !stored) return;
        if (text === pretty(stored)) twin.reload();
        else setBehind(true);
    }, [live.tick]);
    if (!api.can('service')) return <Denied what="read twins (it lacks ServiceConnect)" />;
    if (twin.error) return <Failure text={twin.error} retry={twin.reload} />;
    if (!twin.data || !stored) return <Shimmer lines={8} />;
    const read = readObject(text || '{}');
    const wrong = 'mistake' in read ? read.mistake : null;
    const patch = 'value' in read ? mergePatch(stored, read.value) : {};
    const others = Object.keys(patch).filter((key) => key !== 'tags' && key !== 'properties');
    const changed = !wrong && Object.keys(patch).length > 0;
    const save = async () => {
        if (!asked) return;
        setFailure('');
        try {
            await api.ask(path, {
                method: 'PATCH',
                headers: { 'If-Match': `"${String(twin.data?.etag)}"` },
                body: asked,
            });
            notify('The twin is saved.');
            setAsked(null);
            twin.reload();
        } catch (error) {
            setAsked(null);
            setFailure(messageOf(error));
        }
    };
    const place = wrong?.line ? `Line ${wrong.line}, column ${wrong.column}: ` : '';
    return (
        <>
            <div class="actions">
                <button
                    type="button"
                    class="first"
                    disabled={!changed || others.length > 0}
                    onClick={() => setAsked(patch)}
                >
                    Save…
                </button>
                <button type="button" onClick={twin.reload}>
                    Refresh
                </button>
                <LiveBar live={live} />
                <span class="quiet">Version {String(twin.data.version)}</span>
            </div>
            {behind && (
                <p class="note warn" role="status">
                    The twin has been changed meanwhile. Refresh shows what it is now, without what you have written.
                </p>
            )}
            <Failure text={failure} />
            <div class="two">
                <section class="panel">
                    <h2>Tags and desired properties</h2>
                    <Area
                        label="Edit as JSON"
                        rows={22}
                        value={text}
                        set={setText}
                        hint="What you leave out is deleted, and so is what you make null."
                        wrong={
                            wrong
                                ? place + wrong.message
                                : others.length
                                  ? `Services do not change ${others.join(', ')}.`
                                  : ''
                        }
                    />
                </section>
                <section class="panel">
                    <h2>Reported properties</h2>
                    <Show label="Reported properties" value={withoutMetadata((twin.data.properties as Doc).reported)} />
                    <details>
                        <summary>The whole twin</summary>
                        <Show label="The whole twin" value={twin.data} />
                    </details>
                </section>
            </div>
            {asked && (
                <Dialog title="Save these changes?" close={() => setAsked(null)}>
                    <Diff before={pretty(stored)} after={text} />
                    <div class="actions">
                        <button type="button" onClick={() => setAsked(null)}>
                            Cancel
                        </button>
                        <button type="button" class="first" onClick={() => void save()}>
                            Save
                        </button>
                    </div>
                </Dialog>
            )}
        </>
    );
}
