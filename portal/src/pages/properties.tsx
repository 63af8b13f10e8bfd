// What a hub is: tier, how long it keeps what, tags.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Doc } from '../api';
import { Check, Rows, SaveRow, useAct, type Row } from '../forms';
import { useHub, type Hub, type HubState } from '../hub';
import { rowsOf, tableOf, wrongRows } from '../logic/configurations';
import { Choice, Copy, Denied, Failure, notify, PageHead, Shimmer, Text, useApi, useLoad } from '../ui';

const NO_LIMIT = 1e15; // a hub without a tier says 2^63-1

interface Metric {
    name: string;
    currentValue: number;
    maxValue: number;
}

const metricNames: Record<string, string> = { TotalMessages: 'Messages today', TotalDeviceCount: 'Devices' };

export function PropertiesPage() {
    const api = useApi();
    const hub = useHub();
    if (!api.can('owner')) return <Denied what="see the hub’s properties (it needs a policy with all rights)" />;
    return (
        <>
            <PageHead title="Hub properties" reload={hub.reload} />
            <Failure text={hub.error} retry={hub.reload} />
            {!hub.data && !hub.error && <Shimmer />}
            {hub.data && <Parts hub={hub} now={hub.data} />}
        </>
    );
}

function Parts(props: { hub: HubState; now: Hub }) {
    const { now } = props;
    const tags = (now.tags ?? {}) as Doc;
    const facts: [string, string][] = [
        ['Name', now.name],
        ['Host name', String(now.properties.hostName)],
        ['Resource id', String(now.id)],
    ];
    return (
        <>
            <section class="panel">
                <h2>This hub</h2>
                <dl class="facts">
                    {facts.map(([label, text]) => (
                        <>
                            <dt>{label}</dt>
                            <dd class="actions">
                                <code>{text}</code>
                                <Copy text={text} label={label.toLowerCase()} />
                            </dd>
                        </>
                    ))}
                </dl>
            </section>
            <div class="two">
                <Scale {...props} />
                <Messages {...props} />
                <Files {...props} />
                <Tags hub={props.hub} stored={rowsOf(tags, 'value')} />
            </div>
        </>
    );
}

/** A panel whose fields are saved together. */
function Saved<T>(props: {
    title: string;
    was: T;
    wrong: (now: T) => string;
    change: (now: T) => Doc;
    hub: HubState;
    fields: (now: T, set: (change: Partial<T>) => void) => ComponentChildren;
}) {
    const [now, setNow] = useState(props.was);
    const { busy, failure, act } = useAct();
    return (
        <section class="panel">
            <h2>{props.title}</h2>
            {props.fields(now, (change) => setNow({ ...now, ...change }))}
            <Failure text={failure} />
            <SaveRow
                dirty={JSON.stringify(now) !== JSON.stringify(props.was)}
                wrong={props.wrong(now)}
                busy={busy}
                save={() =>
                    void act(async () => {
                        await props.hub.change(props.change(now));
                        notify(`${props.title}: saved.`);
                    })
                }
                discard={() => setNow(props.was)}
            />
        </section>
    );
}

const whole = (text: string, least: number, most: number) =>
    /^\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most ? '' : `${least} to ${most}`;

function Scale(props: { hub: HubState; now: Hub }) {
    const api = useApi();
    const sku = (props.now.sku ?? {}) as Doc;
    const quota = useLoad(
        async () => (await api.arm<{ value: Metric[] }>(props.now.name, '/quotaMetrics')).value,
        [props.now],
    );
    const limited = quota.data?.some((metric) => metric.name === 'TotalMessages' && metric.maxValue < NO_LIMIT);
    const most: Record<string, number> = { F1: 1, S3: 10 };
    const was = { tier: String(sku.name), units: String(sku.capacity) };
    const wrongUnits = (now: typeof was) => whole(now.units, 1, most[now.tier] ?? 200);
    return (
        <Saved
            key={JSON.stringify(was)}
            title="Pricing and scale"
            hub={props.hub}
            was={was}
            wrong={(now) => wrongUnits(now) && 'Units: ' + wrongUnits(now)}
            change={(now) => ({ sku: { name: now.tier, capacity: Number(now.units) } })}
            fields={(now, set) => (
                <>
                    {quota.data && !limited && (
                        <p class="note">The hub has no tier: nothing is limited until you save one here.</p>
                    )}
                    <div class="row even">
                        <Choice
                            class="grow"
                            label="Tier"
                            value={now.tier}
                            set={(tier) => set({ tier })}
                            of={[
                                ['F1', 'F1: 8,000 messages a day'],
                                ['S1', 'S1: 400,000 a day and unit'],
                                ['S2', 'S2: 6,000,000 a day and unit'],
                                ['S3', 'S3: 300,000,000 a day and unit'],
                            ]}
                        />
                        <Text
                            class="grow"
                            label="Units"
                            value={now.units}
                            set={(units) => set({ units })}
                            wrong={wrongUnits(now)}
                        />
                    </div>
                    <Failure text={quota.error} retry={quota.reload} />
                    <dl class="facts">
                        {quota.data?.map((metric) => (
                            <>
                                <dt>{metricNames[metric.name] ?? metric.name}</dt>
                                <dd>
                                    {metric.currentValue.toLocaleString()}
                                    {metric.maxValue < NO_LIMIT && ` of ${metric.maxValue.toLocaleString()}`}
                                </dd>
                            </>
                        ))}
                    </dl>
                </>
            )}
        />
    );
}

const seconds = (duration: unknown) => /^PT(\d+)S$/.exec(String(duration))?.[1] ?? '';

function Messages(props: { hub: HubState; now: Hub }) {
    const { properties } = props.now;
    const commands = properties.cloudToDevice as Doc;
    const feedback = commands.feedback as Doc;
    const was = {
        days: String(((properties.eventHubEndpoints as Doc).events as Doc).retentionTimeInDays),
        ttl: seconds(commands.defaultTtlAsIso8601),
        deliveries: String(commands.maxDeliveryCount),
        feedbackTtl: seconds(feedback.ttlAsIso8601),
    };
    const changed = (now: typeof was) => ({
        cloudToDevice: {
            maxDeliveryCount: Number(now.deliveries),
            defaultTtlAsIso8601: `PT${now.ttl}S`,
            feedback: { ttlAsIso8601: `PT${now.feedbackTtl}S` },
        },
        // A hub that keeps events for part of a day shows 0: that stays as it is.
        ...(now.days !== was.days && { eventHubEndpoints: { events: { retentionTimeInDays: Number(now.days) } } }),
    });
    const fields: [keyof typeof was, string, number, number][] = [
        ['days', 'Events are kept for, days', was.days === '0' ? 0 : 1, 3650],
        ['ttl', 'Messages to devices live for, s', 60, 172800],
        ['deliveries', 'Deliveries of one, at most', 1, 100],
        ['feedbackTtl', 'Feedback lives for, s', 60, 172800],
    ];
    return (
        <Saved
            key={JSON.stringify(was)}
            title="Messages"
            hub={props.hub}
            was={was}
            wrong={(now) => (fields.some(([key, , least, most]) => whole(now[key], least, most)) ? 'See above.' : '')}
            change={(now) => ({ properties: changed(now) })}
            fields={(now, set) =>
                fields.map(([key, label, least, most]) => (
                    <Text
                        key={key}
                        label={label}
                        value={now[key]}
                        set={(value) => set({ [key]: value })}
                        wrong={whole(now[key], least, most)}
                    />
                ))
            }
        />
    );
}

function Files(props: { hub: HubState; now: Hub }) {
    const { properties } = props.now;
    const account = (properties.storageEndpoints as Doc).$default as Doc;
    const was = {
        container: String(account.containerName),
        ttl: seconds(account.sasTtlAsIso8601),
        notify: properties.enableFileUploadNotifications === true,
    };
    return (
        <Saved
            key={JSON.stringify(was)}
            title="File upload"
            hub={props.hub}
            was={was}
            wrong={(now) => whole(now.ttl, 60, 86400) && 'Seconds: ' + whole(now.ttl, 60, 86400)}
            change={(now) => ({
                properties: {
                    storageEndpoints: { $default: { containerName: now.container, sasTtlAsIso8601: `PT${now.ttl}S` } },
                    enableFileUploadNotifications: now.notify,
                },
            })}
            fields={(now, set) => (
                <>
                    <p class="quiet">
                        {account.connectionString
                            ? 'Files go to a storage account, which hub.toml names.'
                            : 'Files go to the hub’s own blob service.'}
                    </p>
                    <Text label="Container" value={now.container} set={(container) => set({ container })} />
                    <Text label="A device may take for one file, s" value={now.ttl} set={(ttl) => set({ ttl })} />
                    <Check label="Tell of each file" value={now.notify} set={(on) => set({ notify: on })} />
                </>
            )}
        />
    );
}

function Tags(props: { hub: HubState; stored: Row[] }) {
    return (
        <Saved
            key={JSON.stringify(props.stored)}
            title="Tags"
            hub={props.hub}
            was={{ rows: props.stored }}
            wrong={(now) => wrongRows(now.rows, 'tag')}
            change={(now) => ({ tags: tableOf(now.rows, 'value') })}
            fields={(now, set) => (
                <Rows
                    legend="Words of yours about the hub"
                    one="tag"
                    most={50}
                    fields={[
                        { key: 'name', label: 'Name' },
                        { key: 'value', label: 'Value' },
                    ]}
                    rows={now.rows}
                    set={(rows) => set({ rows })}
                />
            )}
        />
    );
}
