import { useMemo, useState } from 'preact/hooks';
import { intervalFor, timeText } from '../logic/axes';
import { addLines, freshView, type Line, type Span, type View } from '../logic/explorer';
import { Plot } from '../plot';
import { instanceOf, plotLinesOf, propertiesOf, useLines } from '../series-data';
import { AsTable, Choice, Denied, Failure, Shimmer, useApi, useLoad } from '../ui';
import { ValueRows, viewHref } from './series-more';
import { quick } from './series-time';

const SHOWN = 12; // properties, each with a lane of its own

/** What a device has said, by time: its numbers, as time series have them. */
export function StoredTelemetry(props: { device: string }) {
    const api = useApi();
    const found = useLoad(
        async (signal) => {
            if (!api.can('service')) return null;
            const one = await instanceOf(api, [props.device], signal);
            if (!one?.range) return { last: 0, names: [] };
            return { last: Date.parse(one.range.to), names: await propertiesOf(api, one, signal) };
        },
        [props.device],
    );
    if (!api.can('service')) return <Denied what="read time series (it lacks ServiceConnect)" />;
    if (found.error) return <Failure text={found.error} retry={found.reload} />;
    if (!found.data) return <Shimmer />;
    if (!found.data.last) return <p class="empty">Nothing that this device has sent is stored.</p>;
    return <Stored device={props.device} last={found.data.last} names={found.data.names} reload={found.reload} />;
}

function Stored(props: { device: string; last: number; names: string[]; reload: () => void }) {
    const [wide, setWide] = useState(freshView.last);
    const [chosen, setChosen] = useState<Span | null>(null);
    const [selection, setSelection] = useState<Span | null>(null);
    const span = useMemo(() => {
        const now = Date.now();
        const to = now - props.last < wide ? now : props.last + 1; // a device that is silent has a past, too
        return chosen ?? { from: to - wide, to };
    }, [wide, chosen, props.last]);
    const lines = useMemo(
        () =>
            props.names
                .slice(0, SHOWN)
                .reduce((all, name) => addLines(all, [{ id: [props.device] }], name), [] as Line[]),
        [props.device, props.names],
    );
    const interval = intervalFor(span.to - span.from, 0);
    const loaded = useLines(lines, span, interval, 0);
    const plotLines = useMemo(() => plotLinesOf(lines, loaded), [lines, loaded.points]);
    const view: View = { ...freshView, last: 0, ...span, lines };
    const show = (next: Span | null) => {
        setSelection(null);
        setChosen(next);
    };
    return (
        <>
            <div class="row">
                <Choice
                    label="Time"
                    value={String(wide)}
                    set={(text) => {
                        show(null);
                        setWide(Number(text));
                    }}
                    of={quick.map(([ms, text]) => [String(ms), text])}
                />
                <div class="actions">
                    {selection && (
                        <button type="button" class="first" onClick={() => show(selection)}>
                            Zoom
                        </button>
                    )}
                    {chosen && (
                        <button type="button" onClick={() => show(null)}>
                            Back
                        </button>
                    )}
                    <button type="button" onClick={props.reload}>
                        Refresh
                    </button>
                    <a class="button" href={viewHref(view)}>
                        Open in the explorer
                    </a>
                </div>
            </div>
            <p class="quiet" role="status">
                {timeText(span.from, false)} – {timeText(span.to, false)}; the last event is of{' '}
                {timeText(props.last, false)}.
                {props.names.length > SHOWN && ` The first ${SHOWN} of ${props.names.length} properties are shown.`}
            </p>
            <Failure text={loaded.failure} />
            {lines.length ? (
                <section class="panel">
                    <Plot
                        label={`${lines.length} ${lines.length === 1 ? 'line' : 'lines'}.`}
                        lines={plotLines}
                        span={loaded.span ?? span}
                        axis="stacked"
                        utc={false}
                        step={loaded.interval}
                        focus={-1}
                        selection={selection}
                        select={setSelection}
                        zoom={show}
                    />
                    <AsTable>{() => <ValueRows lines={lines} loaded={loaded} utc={false} />}</AsTable>
                </section>
            ) : (
                <p class="empty">Its last events have no numbers.</p>
            )}
        </>
    );
}
