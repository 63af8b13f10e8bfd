import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { clustered, fit, isPlace, project, within, WORLD, type Cluster, type View } from '../logic/map';
import { rank, type Severity } from '../logic/monitoring';
import { SeverityPill, type FleetDevice } from '../monitoring';
import { href } from '../route';
import { AsTable, Failure, messageOf, Table } from '../ui';

const REACH = 34; // px between two pins: each is a target of its own
const LISTED_MAX = 50; // of a cluster that cannot be taken apart

interface Pin {
    x: number;
    y: number;
    device: FleetDevice;
    severity: Severity | undefined;
}

const words = (severity: Severity | undefined) => (severity ? `${severity.toLowerCase()} alarm` : 'no open alarm');
const place = (device: FleetDevice) =>
    isPlace(device.latitude, device.longitude)
        ? `${Number(device.latitude).toFixed(4)}, ${Number(device.longitude).toFixed(4)}`
        : '--';

function Shape(props: { severity: Severity | undefined; size: number }) {
    const r = props.size;
    if (props.severity === 'Critical') return <path d={`M0 ${-r * 1.15}L${r * 1.1} ${r * 0.8}H${-r * 1.1}Z`} />;
    if (props.severity === 'Warning') return <path d={`M0 ${-r * 1.15}L${r * 1.15} 0L0 ${r * 1.15}L${-r * 1.15} 0Z`} />;
    if (props.severity === 'Info') return <rect x={-r * 0.85} y={-r * 0.85} width={r * 1.7} height={r * 1.7} rx={2} />;
    return <circle r={r} />;
}

function PinMark(props: { cluster: Cluster<Pin>; x: number; y: number; chosen: boolean; choose: () => void }) {
    const { members } = props.cluster;
    const severity = members.reduce<Severity | undefined>(
        (worst, one) => (rank(one.severity) < rank(worst) ? one.severity : worst),
        undefined,
    );
    const first = members[0] as Pin;
    const name =
        members.length > 1
            ? `${members.length} devices, ${severity ? `the worst: ${words(severity)}` : words(severity)}`
            : `${first.device.id}, ${first.device.type || 'no type'}, ${words(severity)}`;
    return (
        <g
            class={`pin ${severity ?? 'fine'}`}
            transform={`translate(${props.x.toFixed(1)} ${props.y.toFixed(1)})`}
            role="button"
            tabindex={0}
            aria-label={name}
            aria-pressed={props.chosen}
            onClick={props.choose}
            onKeyDown={(event) => {
                if (event.key !== 'Enter' && event.key !== ' ') return;
                event.preventDefault();
                event.stopPropagation();
                props.choose();
            }}
        >
            <title>{name}</title>
            <circle class="halo" r={16} />
            {members.length > 1 ? (
                <>
                    <circle class="many" r={13} />
                    <text y={4}>{members.length > 999 ? '999+' : members.length}</text>
                    {severity && (
                        <g transform="translate(11 -10)">
                            <Shape severity={severity} size={5} />
                        </g>
                    )}
                </>
            ) : (
                <Shape severity={severity} size={8} />
            )}
        </g>
    );
}

/** How large an element is drawn. */
function useSize<T extends Element>() {
    const at = useRef<T>(null);
    const [size, setSize] = useState({ width: 0, height: 0 });
    useEffect(() => {
        if (!at.current) return;
        const watch = new ResizeObserver(([entry]) => {
            if (entry) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
        });
        watch.observe(at.current);
        return () => watch.disconnect();
    }, []);
    return { at, size };
}

interface Drag {
    x: number;
    y: number;
    view: View;
    moved: boolean;
}

export function FleetMap(props: { devices: FleetDevice[]; worst: Map<string, Severity> }) {
    const { at, size } = useSize<HTMLDivElement>();
    const [world, setWorld] = useState<{ land: string; borders: string } | null>(null);
    const [failure, setFailure] = useState('');
    const [view, setView] = useState<View | null>(null);
    const [chosen, choose] = useState<Set<string>>(new Set());
    const drag = useRef<Drag | null>(null);
    useEffect(() => {
        import('../land').then(setWorld).catch((error: unknown) => setFailure(messageOf(error)));
    }, []);
    const pins = useMemo(
        () =>
            props.devices
                .filter((device) => isPlace(device.latitude, device.longitude))
                .map((device): Pin => ({
                    ...project(Number(device.latitude), Number(device.longitude)),
                    device,
                    severity: props.worst.get(device.id),
                })),
        [props.devices, props.worst],
    );
    const { width, height } = size;
    const ratio = width && height ? width / height : 2;
    useEffect(() => {
        if (!view && pins.length && width) setView(fit(pins, ratio)); // from then on it stands still under what moves
    }, [pins, width]);
    const seen = view ? within(view, ratio) : fit(pins, ratio);
    const scale = width / seen.width; // px
    const [west, north] = [seen.x - seen.width / 2, seen.y - seen.width / ratio / 2];
    const zoom = (factor: number) => setView(within({ ...seen, width: seen.width * factor }, ratio));
    const shift = (dx: number, dy: number, from = seen) =>
        setView(within({ ...from, x: from.x + dx / scale, y: from.y + dy / scale }, ratio));
    const drawn = width
        ? clustered(
              pins
                  .map((pin) => ({ ...pin, x: (pin.x - west) * scale, y: (pin.y - north) * scale }))
                  .filter((pin) => pin.x > -20 && pin.x < width + 20 && pin.y > -20 && pin.y < height + 20),
              REACH,
          ).sort((a, b) => worstOf(b) - worstOf(a))
        : [];
    const open = (cluster: Cluster<Pin>) => {
        const ids = new Set(cluster.members.map((member) => member.device.id));
        const mine = pins.filter((pin) => ids.has(pin.device.id));
        const next = fit(mine, ratio, 0.001);
        if (mine.length > 1 && next.width < seen.width * 0.8 && spread(mine) * scale > 0.05) setView(next);
        choose(ids);
    };
    const keys: Record<string, () => void> = {
        ArrowLeft: () => shift(-60, 0),
        ArrowRight: () => shift(60, 0),
        ArrowUp: () => shift(0, -60),
        ArrowDown: () => shift(0, 60),
        '+': () => zoom(0.5),
        '-': () => zoom(2),
        '0': () => setView(fit(pins, ratio)),
    };
    const pressed = (event: KeyboardEvent) => {
        const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
        if (!act) return;
        event.preventDefault();
        act();
    };
    const down = (event: PointerEvent) => {
        drag.current = event.button ? null : { x: event.clientX, y: event.clientY, view: seen, moved: false };
    };
    const move = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
        const from = drag.current;
        if (!from || !event.buttons) return;
        const [dx, dy] = [from.x - event.clientX, from.y - event.clientY];
        if (!from.moved && Math.hypot(dx, dy) < 4) return;
        if (!from.moved) event.currentTarget.setPointerCapture(event.pointerId);
        from.moved = true;
        shift(dx, dy, from.view);
    };
    const wheel = (event: WheelEvent) => {
        if (!event.ctrlKey && !event.metaKey) return; // else it scrolls the page
        event.preventDefault();
        zoom(event.deltaY > 0 ? 1.25 : 0.8);
    };
    const listed = props.devices.filter((device) => chosen.has(device.id));
    return (
        <>
            <Failure text={failure && `The land does not come: ${failure}`} />
            <div class="map" ref={at}>
                <svg
                    width={width}
                    height={height}
                    role="group"
                    tabindex={0}
                    aria-label="Map of device locations. Arrow keys move it, plus and minus zoom, 0 shows all devices."
                    onKeyDown={pressed}
                    onPointerDown={down}
                    onPointerMove={move}
                    onPointerUp={() => (drag.current = null)}
                    onWheel={wheel}
                >
                    {world && width > 0 && (
                        <g transform={`scale(${scale}) translate(${-west} ${-north})`} aria-hidden="true">
                            <path class="land" d={world.land} />
                            <path class="borders" d={world.borders} />
                        </g>
                    )}
                    {drawn.map((cluster) => (
                        <PinMark
                            key={cluster.members[0]?.device.id}
                            cluster={cluster}
                            x={cluster.x}
                            y={cluster.y}
                            chosen={cluster.members.some((member) => chosen.has(member.device.id))}
                            choose={() => open(cluster)}
                        />
                    ))}
                </svg>
                <div class="zoom">
                    <button type="button" class="small" aria-label="Zoom in" onClick={() => zoom(0.5)}>
                        +
                    </button>
                    <button type="button" class="small" aria-label="Zoom out" onClick={() => zoom(2)}>
                        −
                    </button>
                    <button type="button" class="small" onClick={() => setView(fit(pins, ratio))}>
                        All devices
                    </button>
                    <button
                        type="button"
                        class="small"
                        onClick={() => setView(within({ x: WORLD / 2, y: 150, width: WORLD * 2 }, ratio))}
                    >
                        World
                    </button>
                </div>
            </div>
            <p class="quiet keys">
                <span class="pin fine" aria-hidden="true">
                    ●
                </span>
                no open alarm
                <span class="pin Info" aria-hidden="true">
                    ■
                </span>
                info
                <span class="pin Warning" aria-hidden="true">
                    ◆
                </span>
                warning
                <span class="pin Critical" aria-hidden="true">
                    ▲
                </span>
                critical
                <span>
                    · {pins.length.toLocaleString()} of {props.devices.length.toLocaleString()} devices report where
                    they are
                </span>
            </p>
            <div aria-live="polite">
                {listed.length > 0 && (
                    <ul class="chosen">
                        {listed.slice(0, LISTED_MAX).map((device) => (
                            <li key={device.id}>
                                <a href={href('devices', device.id)}>{device.id}</a> {device.type || 'no type'}{' '}
                                <Worst of={props.worst.get(device.id)} />
                            </li>
                        ))}
                        {listed.length > LISTED_MAX && <li>and {listed.length - LISTED_MAX} more</li>}
                    </ul>
                )}
            </div>
            <AsTable>
                {() => (
                    <Table
                        label="Device locations"
                        empty="No device reports where it is"
                        rows={pins}
                        columns={[
                            {
                                name: 'Device id',
                                cell: (pin) => <a href={href('devices', pin.device.id)}>{pin.device.id}</a>,
                            },
                            { name: 'Type', cell: (pin) => pin.device.type || '--' },
                            { name: 'Latitude, longitude', cell: (pin) => place(pin.device) },
                            { name: 'Worst open alarm', cell: (pin) => <Worst of={pin.severity} /> },
                        ]}
                    />
                )}
            </AsTable>
        </>
    );
}

const worstOf = (cluster: Cluster<Pin>) => Math.min(...cluster.members.map((member) => rank(member.severity)));

function spread(pins: Pin[]): number {
    const xs = pins.map((pin) => pin.x);
    const ys = pins.map((pin) => pin.y);
    return Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
}

function Worst(props: { of: Severity | undefined }) {
    return props.of ? <SeverityPill severity={props.of} /> : <span class="quiet">--</span>;
}
