import { useState } from 'preact/hooks';
import type { Api } from '../api';
import { Check, FormDialog, type Row, Rows } from '../forms';
import {
    devicesOf,
    FIXED_MAX_H,
    idOf,
    stateOf,
    stateTexts,
    toModels,
    wrongKinds,
    type DeviceModel,
    type KindRow,
    type Simulation,
    type State,
} from '../logic/simulations';
import { useTick } from '../monitoring';
import { go, href } from '../route';
import { Choice, Denied, Failure, notify, PageHead, Pill, Table, Tabs, Text, useApi, useLoad, When } from '../ui';

export const SIMULATIONS = '/devicesimulation/v1/simulations';
export const MODELS = '/devicesimulation/v1/devicemodels';

const kinds: Partial<Record<State, 'good' | 'bad' | 'warn'>> = { running: 'good', failed: 'bad', waiting: 'warn' };
export function StatePill(props: { of: Simulation }) {
    const state = stateOf(props.of, Date.now());
    return <Pill kind={kinds[state]}>{stateTexts[state]}</Pill>;
}

export const listModels = (api: Api, signal?: AbortSignal) =>
    api.ask<{ Items: DeviceModel[] }>(MODELS, { signal }).then((list) => list.Items);

export function SimulationTabs(props: { at: string }) {
    return (
        <Tabs
            label="Simulations"
            at={href(...props.at.split('/'))}
            of={[
                [href('simulations'), 'Simulations'],
                [href('simulations', '$models'), 'Device models'],
            ]}
        />
    );
}

export function NoRunner() {
    return (
        <p class="note warn" role="status">
            No runner follows, so nothing is started: run <code>skerry sim follow</code> with a login of this hub.
        </p>
    );
}

export function SimulationsPage() {
    const api = useApi();
    const tick = useTick(5000);
    const [fresh, setFresh] = useState(false);
    const list = useLoad(
        async (signal) =>
            api.can('read') ? await api.ask<{ Items: Simulation[]; Followed: boolean }>(SIMULATIONS, { signal }) : null,
        [],
        tick,
    );
    if (!api.can('read')) return <Denied what="read simulations (it lacks RegistryRead)" />;
    const rows = [...(list.data?.Items ?? [])].sort((a, b) => a.Name.localeCompare(b.Name));
    return (
        <>
            <PageHead title="Simulations" reload={list.reload}>
                {api.can('write') && (
                    <button type="button" class="first" onClick={() => setFresh(true)}>
                        New simulation
                    </button>
                )}
            </PageHead>
            <SimulationTabs at="simulations" />
            {list.data && !list.data.Followed && <NoRunner />}
            <Failure text={list.error} retry={list.reload} />
            <Table
                label="Simulations"
                rows={rows}
                loading={list.loading && !list.data}
                empty="No simulations to display"
                columns={[
                    {
                        name: 'Simulation',
                        wrap: true,
                        cell: (one) => (
                            <>
                                <a href={href('simulations', one.Id)}>{one.Name}</a>
                                {one.Description && <small class="quiet"> {one.Description}</small>}
                            </>
                        ),
                    },
                    { name: 'State', cell: (one) => <StatePill of={one} /> },
                    {
                        name: 'Devices',
                        number: true,
                        cell: (one) =>
                            `${one.Statistics.ActiveDevicesCount.toLocaleString()} of ${devicesOf(one).toLocaleString()}`,
                    },
                    {
                        name: 'Messages',
                        number: true,
                        cell: (one) => one.Statistics.TotalMessagesSent.toLocaleString(),
                    },
                    { name: 'Started', cell: (one) => <When at={one.StartedTime} short /> },
                    { name: 'Ends', cell: (one) => (one.EndTime ? <When at={one.EndTime} short /> : 'when stopped') },
                ]}
            />
            {fresh && <NewSimulation taken={rows.map((one) => one.Id)} close={() => setFresh(false)} />}
        </>
    );
}

function NewSimulation(props: { taken: string[]; close: () => void }) {
    const api = useApi();
    const models = useLoad((signal) => listModels(api, signal), []);
    const [name, setName] = useState('');
    const [description, setDescription] = useState('');
    const [rows, setRows] = useState<Row[]>([{ model: 'chiller-01', count: '10', interval: '' }]);
    const [ends, setEnds] = useState('stopped');
    const [hours, setHours] = useState('2');
    const [removes, setRemoves] = useState(true);
    const wrong = wrongKinds(rows as unknown as KindRow[]);
    const wrongHours = ends === 'fixed' && !(Number(hours) >= 0.05 && Number(hours) <= FIXED_MAX_H);
    const id = idOf(name, props.taken);
    const send = async () => {
        const body = {
            Name: name.trim(),
            Description: description.trim(),
            DeviceModels: toModels(rows as unknown as KindRow[], models.data ?? []),
            EndTime: ends === 'fixed' ? `NOW+PT${Math.round(Number(hours) * 3600)}S` : '',
            DeleteDevicesWhenSimulationEnds: removes,
        };
        await api.ask(`${SIMULATIONS}/${id}`, { method: 'PUT', body });
        notify(`${body.Name} is started.`);
        go(href('simulations', id));
    };
    return (
        <FormDialog
            title="New simulation"
            action="Start"
            ready={name.trim() !== '' && models.data !== null && !wrong && !wrongHours}
            close={props.close}
            send={send}
        >
            <Text
                label="Name"
                value={name}
                set={setName}
                required
                hint={name.trim() ? `Its devices are called ${id}.MODEL.1 and so on.` : undefined}
            />
            <Text label="Description" value={description} set={setDescription} />
            <Failure text={models.error} retry={models.reload} />
            <Rows
                legend="Device types"
                hint="Without an interval they send as often as the model says."
                one="device type"
                most={64}
                fields={[
                    {
                        key: 'model',
                        label: 'Model',
                        of: (models.data ?? []).map((model) => [
                            model.Id,
                            model.Name ? `${model.Name} (${model.Id})` : model.Id,
                        ]),
                    },
                    { key: 'count', label: 'Amount' },
                    { key: 'interval', label: 'Interval in s' },
                ]}
                rows={rows}
                set={setRows}
            />
            {wrong && (
                <p class="wrong" role="status">
                    {wrong}
                </p>
            )}
            <Choice
                label="Runs"
                value={ends}
                set={setEnds}
                of={[
                    ['stopped', 'until it is stopped'],
                    ['fixed', 'for a time'],
                ]}
            />
            {ends === 'fixed' && (
                <Text
                    label="Hours"
                    value={hours}
                    set={setHours}
                    wrong={wrongHours ? `0.05 to ${FIXED_MAX_H}` : undefined}
                />
            )}
            <Check label="Delete its devices when it ends" value={removes} set={setRemoves} />
        </FormDialog>
    );
}
