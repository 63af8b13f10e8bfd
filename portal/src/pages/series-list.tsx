import { useEffect, useRef, useState } from 'preact/hooks';
import { idText, LINES_MAX, type SeriesId } from '../logic/explorer';
import { useProperties, useSeriesList, type Instance, type Place } from '../series-data';
import { Failure, Field, Text } from '../ui';

const ROW = 36; // px, as style.css has it
const HEIGHT = 324;

const nameOf = (one: Instance) => one.name || idText(one.timeSeriesId);
const keyOf = (one: Instance) => JSON.stringify(one.timeSeriesId);

/** Draws the series that are in sight; asks for the next page when the end comes near. */
function SeriesRows(props: {
    rows: Instance[];
    more: boolean;
    load: () => void;
    chosen: Map<string, Instance>;
    choose: (list: Instance[], on: boolean) => void;
}) {
    const [top, setTop] = useState(0);
    const first = Math.max(0, Math.floor(top / ROW) - 5);
    const last = Math.min(props.rows.length, Math.ceil((top + HEIGHT) / ROW) + 5);
    const box = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (props.more && props.rows.length && last > props.rows.length - 30) props.load();
    }, [last, props.rows.length, props.more]);
    return (
        <div
            ref={box}
            class="series"
            tabIndex={0}
            role="region"
            aria-label="Series"
            onScroll={(event) => setTop(event.currentTarget.scrollTop)}
        >
            <div style={{ height: `${props.rows.length * ROW}px` }}>
                {props.rows.slice(first, last).map((one, i) => (
                    <label
                        key={keyOf(one)}
                        class="check"
                        style={{ top: `${(first + i) * ROW}px` }}
                        title={`${idText(one.timeSeriesId)}: ${(one.events ?? 0).toLocaleString()} events${one.range ? `, the last ${one.range.to}` : ''}`}
                    >
                        <input
                            type="checkbox"
                            checked={props.chosen.has(keyOf(one))}
                            onChange={(event) => props.choose([one], event.currentTarget.checked)}
                        />
                        <span>{nameOf(one)}</span>
                    </label>
                ))}
            </div>
            {!props.rows.length && <div class="empty">{props.more ? 'Loading…' : 'No series.'}</div>}
        </div>
    );
}

/** Where in the model's hierarchies: what is above, and what is below with how many series. */
function Tree(props: { path: string[]; places: Place[]; go: (path: string[]) => void }) {
    const { path, places, go } = props;
    return (
        <nav class="tree" aria-label="Hierarchies">
            {['All series', ...path].map((name, i) => (
                <button
                    key={i}
                    type="button"
                    class="small"
                    aria-current={i === path.length ? 'location' : undefined}
                    onClick={() => go(path.slice(0, i))}
                >
                    {name}
                </button>
            ))}
            <ul>
                {places.map((place) => (
                    <li key={place.name}>
                        <button type="button" class="small" onClick={() => go([...path, place.name])}>
                            <span aria-hidden="true">›</span> {place.name}{' '}
                            <span class="quiet">({place.cumulativeInstanceCount.toLocaleString()})</span>
                        </button>
                    </li>
                ))}
            </ul>
        </nav>
    );
}

/** Which series there are, and a property of those that are chosen. */
export function SeriesPicker(props: {
    count: number;
    add: (series: { id: SeriesId; name?: string }[], property: string) => void;
}) {
    const [search, setSearch] = useState('');
    const [chosen, setChosen] = useState<Map<string, Instance>>(new Map());
    const [property, setProperty] = useState('');
    const [path, setPath] = useState<string[]>([]);
    const list = useSeriesList(search, path);
    const picked = [...chosen.values()];
    const names = useProperties(picked);
    const own = names.data?.own ?? [];
    const others = names.data?.others ?? [];
    const known = own.includes(property) || others.includes(property) ? property : (own[0] ?? others[0] ?? '');
    const room = LINES_MAX - props.count;
    const choose = (some: Instance[], on: boolean) => {
        const next = new Map(chosen);
        for (const one of some) {
            if (on && next.size < LINES_MAX) next.set(keyOf(one), one);
            else if (!on) next.delete(keyOf(one));
        }
        setChosen(next);
    };
    return (
        <section class="panel picker" aria-label="Add series">
            <Text label="Find a series" type="search" value={search} set={setSearch} search />
            <Failure text={list.failure} retry={list.reload} />
            {(path.length > 0 || list.places.length > 0) && <Tree path={path} places={list.places} go={setPath} />}
            <SeriesRows key={JSON.stringify([search, path])} {...list} chosen={chosen} choose={choose} />
            <div class="actions">
                <button
                    type="button"
                    class="small"
                    disabled={!list.rows.length}
                    onClick={() => choose(list.rows.slice(0, LINES_MAX), true)}
                >
                    Choose all
                </button>
                <button type="button" class="small" disabled={!picked.length} onClick={() => setChosen(new Map())}>
                    None
                </button>
                <span class="quiet" role="status">
                    {picked.length} of {list.total.toLocaleString()} chosen
                </span>
            </div>
            <Failure text={names.error} retry={names.reload} />
            <Field label="Property">
                {(id) => (
                    <select id={id} value={known} onChange={(event) => setProperty(event.currentTarget.value)}>
                        {own.length > 0 && (
                            <optgroup label="Of what is chosen">
                                {own.map((name) => (
                                    <option key={name}>{name}</option>
                                ))}
                            </optgroup>
                        )}
                        {others.length > 0 && (
                            <optgroup label={own.length ? 'Of other series' : 'Of all series'}>
                                {others.map((name) => (
                                    <option key={name}>{name}</option>
                                ))}
                            </optgroup>
                        )}
                    </select>
                )}
            </Field>
            <button
                type="button"
                class="first"
                disabled={!picked.length || !known || room <= 0}
                onClick={() =>
                    props.add(
                        picked.map((one) => ({ id: one.timeSeriesId, name: one.name })),
                        known,
                    )
                }
            >
                {picked.length > 1 ? `Add, split by series (${picked.length})` : 'Add to the chart'}
            </button>
            {room <= 0 && <p class="note warn">A chart has at most {LINES_MAX} lines.</p>}
        </section>
    );
}
