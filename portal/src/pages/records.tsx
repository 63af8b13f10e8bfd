import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Pager } from '../forms';
import { changeQuery, href, useRoute } from '../route';
import {
    Choice,
    Denied,
    Dialog,
    Failure,
    PageHead,
    Pill,
    RowButton,
    Show,
    Table,
    Text,
    useApi,
    useLoad,
    When,
} from '../ui';

const PER_PAGE = 50;
const categories = [
    'Administrative',
    'C2DCommands',
    'C2DTwinOperations',
    'Configurations',
    'Connections',
    'D2CTwinOperations',
    'DeviceIdentityOperations',
    'DeviceTelemetry',
    'DirectMethods',
    'FileUploadOperations',
    'JobsOperations',
    'StorageDelete',
    'StorageRead',
    'StorageWrite',
    'TwinQueries',
];
const times: [string, string][] = [
    ['', 'Always'],
    ['PT1H', 'Last hour'],
    ['P1D', 'Last day'],
    ['P7D', 'Last 7 days'],
    ['P30D', 'Last 30 days'],
];

interface Found {
    enabled: boolean;
    value: Doc[];
    next: string | null;
}

/** What a record says beside its own members; Azure has it as a text. */
function propertiesOf(record: Doc): Doc {
    try {
        const found = JSON.parse(String(record.properties)) as Doc | null;
        return found && typeof found === 'object' ? found : {};
    } catch {
        return {};
    }
}

const text = (value: unknown) => (typeof value === 'string' ? value : '');
const device = (of: Doc) => text(of.deviceId) + (text(of.moduleId) ? `/${text(of.moduleId)}` : '');
const who = (of: Doc) => text(of.policy) || text(of.onBehalfBy) || text(of.accountName) || device(of) || '--';
const what = (of: Doc) =>
    device(of) ||
    [text(of.container), text(of.blob)].filter(Boolean).join('/') ||
    text(of.name) ||
    text(of.query) ||
    '--';

export function RecordsPage() {
    return useApi().can('owner') ? (
        <Records />
    ) : (
        <Denied what="read the hub’s records (it lacks rights of the owner)" />
    );
}

function Records() {
    const api = useApi();
    const { query } = useRoute();
    const [from, setFrom] = useState<string | null>(null);
    const [opened, open] = useState<Doc | null>(null);
    const said = (name: string) => query.get(name) ?? '';
    const filters = ['category', 'operation', 'identity', 'level'].map((name): [string, string] => [name, said(name)]);
    const found = useLoad<Found>(
        async (signal) => {
            const asked = filters.filter(([, value]) => value).map(([name, value]) => `${name}=${enc(value)}`);
            if (said('time')) asked.push(`from=NOW-${enc(said('time'))}`);
            const headers: Record<string, string> = { 'x-ms-max-item-count': String(PER_PAGE) };
            if (from) headers['x-ms-continuation'] = from;
            const answer = await api.raw(`/insights/records?${asked.join('&')}`, { headers, signal });
            const page = (await answer.json()) as Found;
            return { ...page, next: answer.headers.get('x-ms-continuation') };
        },
        [from, said('time'), ...filters.map(([, value]) => value)],
    );
    const set = (name: string) => (value: string) => {
        setFrom(null);
        changeQuery({ [name]: value });
    };
    const rows = (found.data?.value ?? []).map((record) => ({ record, of: propertiesOf(record) }));
    if (found.data && !found.data.enabled)
        return (
            <>
                <PageHead title="Audit log" reload={found.reload} />
                <p class="note">
                    This hub writes no records: set <code>folder = "records"</code> under <code>[hub.records]</code> in{' '}
                    <code>hub.toml</code> and reload it.
                </p>
            </>
        );
    return (
        <>
            <PageHead
                title="Audit log"
                reload={() => {
                    setFrom(null);
                    found.reload();
                }}
            />
            <div class="row">
                <Text
                    class="grow"
                    label="Device, module or policy"
                    type="search"
                    value={said('identity')}
                    set={set('identity')}
                    placeholder="exactly, such as truck-1 or service"
                    search
                />
                <Text
                    label="Operation"
                    type="search"
                    value={said('operation')}
                    set={set('operation')}
                    placeholder="such as deviceConnect"
                />
                <Choice
                    label="Category"
                    value={said('category')}
                    set={set('category')}
                    of={[['', 'All'], ...categories.map((name): [string, string] => [name, name])]}
                />
                <Choice
                    label="Level"
                    value={said('level')}
                    set={set('level')}
                    of={[
                        ['', 'All'],
                        ['Error', 'Error: refused or failed'],
                        ['Information', 'Information: done'],
                    ]}
                />
                <Choice label="Time" value={said('time')} set={set('time')} of={times} />
            </div>
            <Failure text={found.error} retry={found.reload} />
            <Table
                label="Records"
                rows={rows}
                loading={found.loading}
                empty={
                    found.data?.next
                        ? 'None of these; there are older ones on the next page'
                        : 'No records of this kind'
                }
                columns={[
                    { name: 'Time', cell: ({ record }) => <When at={record.time} /> },
                    {
                        name: 'Result',
                        cell: ({ record }) =>
                            record.level === 'Error' ? (
                                <Pill kind="bad">{text(record.resultType) || 'error'}</Pill>
                            ) : (
                                <Pill kind="good">done</Pill>
                            ),
                    },
                    { name: 'Operation', cell: ({ record }) => text(record.operationName) },
                    { name: 'Who', cell: ({ of }) => who(of) },
                    {
                        name: 'On what',
                        wrap: true,
                        cell: ({ of }) =>
                            text(of.deviceId) ? (
                                <a href={href('devices', text(of.deviceId))}>{device(of)}</a>
                            ) : (
                                what(of)
                            ),
                    },
                    { name: 'From', cell: ({ of }) => text(of.maskedIpAddress) || '--' },
                    {
                        name: 'Details',
                        cell: ({ record }) => (
                            <RowButton
                                act="Show"
                                of={`${text(record.operationName)} of ${text(record.time)}`}
                                click={() => open(record)}
                            />
                        ),
                    },
                    { name: 'Category', cell: ({ record }) => text(record.category) },
                ]}
            />
            <Pager from={from} next={found.data?.next} set={setFrom} />
            {opened && (
                <Dialog title={text(opened.operationName)} close={() => open(null)}>
                    {text(opened.resultDescription) && <p>{text(opened.resultDescription)}</p>}
                    <Show label="The record" value={{ ...opened, properties: propertiesOf(opened) }} />
                    <form method="dialog">
                        <div class="actions">
                            <button class="first">Close</button>
                        </div>
                    </form>
                </Dialog>
            )}
        </>
    );
}
