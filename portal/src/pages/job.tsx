import { useEffect, useState } from 'preact/hooks';
import { enc, literal, type Doc } from '../api';
import { Pager, useAct } from '../forms';
import { LiveBar, useNotices } from '../notices';
import { href } from '../route';
import { Denied, Failure, Shimmer, Show, Table, useApi, useLoad, When } from '../ui';
import { hasEnded, JobPill, jobCounts, jobProgress, jobType, useCancelJob } from './jobs';

const PER_PAGE = 50;

const errorOf = (row: Doc) => {
    const error = row.error as Doc | undefined;
    if (error) return `${String(error.code ?? '')} ${String(error.description ?? '')}`.trim();
    const answer = (row.outcome as Doc | undefined)?.deviceMethodResponse as Doc | undefined;
    return answer ? `${String(answer.status)} ${JSON.stringify(answer.payload ?? null)}` : '--';
};

/** One job: how far it is, and what became of each device. */
export function JobPage(props: { id: string }) {
    const api = useApi();
    const [ended, setEnded] = useState(false);
    const live = useNotices('DeviceJobLifecycleEvents', { off: ended });
    const { tick } = live;
    const [from, setFrom] = useState<string | null>(null);
    const service = api.can('service');
    const cancel = useCancelJob();
    const { busy, failure, act } = useAct();
    const job = useLoad(
        (signal) => (service ? api.ask(`/jobs/v2/${enc(props.id)}`, { signal }) : Promise.resolve(null)),
        [props.id],
        tick,
    );
    const devices = useLoad(
        (signal) =>
            service
                ? api.query(`SELECT * FROM devices.jobs WHERE jobId = ${literal(props.id)}`, from, PER_PAGE, signal)
                : Promise.resolve({ items: [], continuation: null }),
        [props.id, from],
        tick,
    );
    useEffect(() => setEnded(job.data !== null && hasEnded(job.data)), [job.data]);
    useEffect(() => void (ended && devices.reload()), [ended]);
    if (!service) return <Denied what="read jobs (it lacks ServiceConnect)" />;
    const counts = job.data && jobCounts(job.data);
    return (
        <>
            <p class="crumb">
                <a href={href('jobs')}>Jobs</a>
            </p>
            <div class="head">
                <h1>{props.id}</h1>
                {job.data && <JobPill job={job.data} />}
                {job.data && !ended && (
                    <div class="actions">
                        <LiveBar live={live} />
                        <button
                            type="button"
                            class="danger"
                            disabled={busy}
                            onClick={() => void act(async () => (await cancel(props.id), job.reload()))}
                        >
                            Cancel the job
                        </button>
                    </div>
                )}
            </div>
            <Failure text={job.error || failure} retry={job.reload} />
            {job.data && counts ? (
                <div class="two">
                    <section class="panel">
                        <h2>Progress</h2>
                        <p role="status">{jobProgress(job.data)}</p>
                        <progress
                            class="long"
                            value={counts.succeeded + counts.failed}
                            max={Math.max(1, counts.devices)}
                            aria-label="Devices that are done"
                        />
                        <dl class="facts">
                            <dt>Type</dt>
                            <dd>{jobType(job.data)}</dd>
                            <dt>For</dt>
                            <dd>
                                <code>{String(job.data.queryCondition ?? '--')}</code>
                            </dd>
                            <dt>Started</dt>
                            <dd>
                                <When at={job.data.startTime} />
                            </dd>
                            <dt>Ended</dt>
                            <dd>
                                <When at={job.data.endTime} />
                            </dd>
                            {job.data.failureReason && (
                                <>
                                    <dt>Failure</dt>
                                    <dd>{String(job.data.failureReason)}</dd>
                                </>
                            )}
                        </dl>
                    </section>
                    <section class="panel">
                        <h2>What it does</h2>
                        <Show label="What it does" value={job.data.updateTwin ?? job.data.cloudToDeviceMethod ?? {}} />
                    </section>
                </div>
            ) : (
                !job.error && <Shimmer />
            )}
            <h2>Devices</h2>
            <Failure text={devices.error} retry={devices.reload} />
            <Table
                label="Devices of the job"
                rows={devices.data?.items ?? []}
                loading={devices.loading && !devices.data}
                empty="No device has been looked at yet"
                columns={[
                    {
                        name: 'Device id',
                        cell: (row) => <a href={href('devices', String(row.deviceId))}>{String(row.deviceId)}</a>,
                    },
                    { name: 'Status', cell: (row) => <JobPill job={row} /> },
                    { name: 'What it answered', wrap: true, cell: errorOf },
                    { name: 'Started', cell: (row) => <When at={row.startTimeUtc} short /> },
                    { name: 'Ended', cell: (row) => <When at={row.endTimeUtc} short /> },
                ]}
            />
            <Pager from={from} next={devices.data?.continuation} set={setFrom} />
        </>
    );
}
