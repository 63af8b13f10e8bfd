import { useEffect, useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import icon from './icon.svg';
import { AlarmsPage } from './pages/alarms';
import { BuiltInPage } from './pages/built-in';
import { CertificatesPage } from './pages/certificates';
import { ConfigurationPage, ConfigurationsPage } from './pages/configurations';
import { DashboardPage } from './pages/dashboard';
import { DevicePage } from './pages/device';
import { DeviceModelPage, DeviceModelsPage } from './pages/device-models';
import { DevicesPage } from './pages/devices';
import { EdgePage, EdgesPage } from './pages/edge';
import { GroupsPage } from './pages/groups';
import { JobPage } from './pages/job';
import { JobsPage } from './pages/jobs';
import { MaintenancePage } from './pages/maintenance';
import { MetricsPage } from './pages/metrics';
import { NetworkPage } from './pages/network';
import { OverviewPage } from './pages/overview';
import { QueryPage } from './pages/query';
import { PoliciesPage } from './pages/policies';
import { PropertiesPage } from './pages/properties';
import { RecordsPage } from './pages/records';
import { RoutingPage } from './pages/routing';
import { RulesPage } from './pages/rules';
import { SeriesPage } from './pages/series';
import { SetModulesPage } from './pages/set-modules';
import { SimulationPage } from './pages/simulation';
import { SimulationsPage } from './pages/simulations';
import { go, href, useRoute } from './route';
import { applyTheme, keysOn, setKeys, theme, type Theme } from './theme';
import { Dialog, Toasts, useApi } from './ui';

interface Place {
    at: string; // first part of the path
    name: string;
    key?: string; // behind "g"
}
const places: [string, Place[]][] = [
    ['', [{ at: '', name: 'Overview', key: 'o' }]],
    [
        'Monitoring',
        [
            { at: 'dashboard', name: 'Dashboard', key: 'm' },
            { at: 'alarms', name: 'Alarms', key: 'a' },
            { at: 'rules', name: 'Rules', key: 'r' },
            { at: 'groups', name: 'Device groups', key: 'g' },
            { at: 'maintenance', name: 'Maintenance', key: 'y' },
            { at: 'metrics', name: 'Metrics', key: 'x' },
        ],
    ],
    [
        'Explorers',
        [
            { at: 'devices', name: 'Devices', key: 'd' },
            { at: 'edge', name: 'IoT Edge', key: 'e' },
            { at: 'query', name: 'Query explorer', key: 'q' },
            { at: 'series', name: 'Time series', key: 't' },
        ],
    ],
    [
        'Management',
        [
            { at: 'deployments', name: 'Deployments', key: 'l' },
            { at: 'configurations', name: 'Configurations', key: 'c' },
            { at: 'jobs', name: 'Jobs', key: 'j' },
            { at: 'simulations', name: 'Simulations', key: 's' },
        ],
    ],
    [
        'Hub',
        [
            { at: 'routing', name: 'Message routing', key: 'u' },
            { at: 'events', name: 'Built-in endpoint', key: 'b' },
            { at: 'policies', name: 'Access policies', key: 'p' },
            { at: 'certificates', name: 'Certificates', key: 'k' },
            { at: 'network', name: 'IP filter', key: 'i' },
            { at: 'properties', name: 'Properties', key: 'h' },
            { at: 'records', name: 'Audit log', key: 'z' },
        ],
    ],
];
const all = places.flatMap(([, list]) => list);

function Shortcuts(props: { close: () => void }) {
    const [on, setOn] = useState(keysOn());
    return (
        <Dialog title="Keyboard shortcuts" close={props.close}>
            <dl class="facts">
                <dt>
                    <kbd>/</kbd>
                </dt>
                <dd>to the page’s search field</dd>
                <dt>
                    <kbd>?</kbd>
                </dt>
                <dd>this list</dd>
                {all
                    .filter((place) => place.key)
                    .map((place) => (
                        <>
                            <dt>
                                <kbd>g</kbd> <kbd>{place.key}</kbd>
                            </dt>
                            <dd>{place.name}</dd>
                        </>
                    ))}
            </dl>
            <label class="check">
                <input
                    type="checkbox"
                    checked={on}
                    onChange={(event) => {
                        setOn(event.currentTarget.checked);
                        setKeys(event.currentTarget.checked);
                    }}
                />
                Single keys are shortcuts
            </label>
            <form method="dialog">
                <div class="actions">
                    <button class="first">Close</button>
                </div>
            </form>
        </Dialog>
    );
}

function useKeys(help: () => void) {
    const led = useRef(0); // when "g" was pressed
    useEffect(() => {
        const pressed = (event: KeyboardEvent) => {
            if (!keysOn() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]'))
                return;
            const at = event.target;
            if (at instanceof Element && at.closest('input, textarea, select')) return;
            const place = Date.now() - led.current < 1500 ? all.find((one) => one.key === event.key) : undefined;
            led.current = event.key === 'g' ? Date.now() : 0;
            if (place) {
                go(place.at ? href(place.at) : href());
            } else if (event.key === '?') {
                help();
            } else if (event.key === '/') {
                document.querySelector<HTMLElement>('[data-search]')?.focus();
            } else {
                return;
            }
            event.preventDefault();
        };
        document.addEventListener('keydown', pressed);
        return () => document.removeEventListener('keydown', pressed);
    }, []);
}

function ThemeSwitch() {
    const [now, set] = useState<Theme>(theme());
    return (
        <select
            aria-label="Colours"
            value={now}
            onChange={(event) => {
                const next = event.currentTarget.value as Theme;
                set(next);
                applyTheme(next);
            }}
        >
            <option value="system">System</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
        </select>
    );
}

function page(path: string[]): ComponentChildren {
    const [place, id, ...rest] = path;
    if (place === undefined) return <OverviewPage />;
    if (place === 'devices' && id) return <DevicePage key={id} id={id} rest={rest} />;
    if (place === 'devices') return <DevicesPage />;
    if (place === 'edge' && id && rest[0] === 'set-modules') return <SetModulesPage key={id} id={id} />;
    if (place === 'edge' && id) return <EdgePage key={id} id={id} tab={rest[0] ?? 'modules'} />;
    if (place === 'edge') return <EdgesPage />;
    if (place === 'query') return <QueryPage />;
    if (place === 'series') return <SeriesPage />;
    if (place === 'deployments' || place === 'configurations') {
        const edge = place === 'deployments';
        return id ? (
            <ConfigurationPage key={`${place}/${id}`} edge={edge} id={id} tab={rest[0] ?? 'target'} />
        ) : (
            <ConfigurationsPage key={place} edge={edge} />
        );
    }
    if (place === 'jobs' && id) return <JobPage key={id} id={id} />;
    if (place === 'jobs') return <JobsPage />;
    if (place === 'certificates') return <CertificatesPage />;
    if (place === 'network') return <NetworkPage />;
    if (place === 'properties') return <PropertiesPage />;
    if (place === 'policies') return <PoliciesPage />;
    if (place === 'routing') return <RoutingPage tab={id ?? 'routes'} />;
    if (place === 'events') return <BuiltInPage />;
    if (place === 'dashboard') return <DashboardPage />;
    if (place === 'rules') return <RulesPage />;
    if (place === 'groups') return <GroupsPage />;
    if (place === 'alarms') return <AlarmsPage />;
    if (place === 'maintenance') return <MaintenancePage />;
    if (place === 'metrics') return <MetricsPage />;
    if (place === 'records') return <RecordsPage />;
    if (place === 'simulations' && id === '$models' && rest[0]) return <DeviceModelPage key={rest[0]} id={rest[0]} />;
    if (place === 'simulations' && id === '$models') return <DeviceModelsPage />;
    if (place === 'simulations' && id) return <SimulationPage key={id} id={id} />;
    if (place === 'simulations') return <SimulationsPage />;
    return (
        <>
            <h1>There is no such page</h1>
            <p>
                <a href={href()}>To the overview</a>
            </p>
        </>
    );
}

export function Shell(props: { signOut: () => void }) {
    const api = useApi();
    const route = useRoute();
    const [help, setHelp] = useState(false);
    useKeys(() => setHelp(true));
    const here = route.path[0] ?? '';
    const title = all.find((place) => place.at === here)?.name ?? 'Skerry';
    useEffect(() => {
        document.title = [route.path[1], title, api.session.host].filter(Boolean).join(' · ');
    }, [route]);
    return (
        <div class="shell">
            <header class="top">
                <a class="skip" href="#main">
                    To the content
                </a>
                <a class="brand" href={href()}>
                    <img src={icon} alt="" />
                    Skerry
                </a>
                <div class="who">
                    <div>{api.session.host}</div>
                    <div class="quiet">{api.session.name}</div>
                </div>
                <button type="button" aria-label="Keyboard shortcuts" onClick={() => setHelp(true)}>
                    ?
                </button>
                <ThemeSwitch />
                <button type="button" onClick={props.signOut}>
                    Sign out
                </button>
            </header>
            <nav class="main" aria-label="Pages">
                {places.map(([heading, list]) => (
                    <>
                        {heading && <h2>{heading}</h2>}
                        {list.map((place) => (
                            <a
                                href={place.at ? href(place.at) : href()}
                                aria-current={place.at === here ? 'page' : undefined}
                            >
                                {place.name}
                            </a>
                        ))}
                    </>
                ))}
            </nav>
            <main id="main" tabIndex={-1}>
                {page(route.path)}
            </main>
            <Toasts />
            {help && <Shortcuts close={() => setHelp(false)} />}
        </div>
    );
}
