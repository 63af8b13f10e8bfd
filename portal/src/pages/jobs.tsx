import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Pager } from '../forms';
import { LiveBar, useNotices } from '../notices';
import { href } from '../route';
import {
    Choice,
    Denied,
    Failure,
    messageOf,
    notify,
    PageHead,
    Pill,
    RowButton,
    Table,
    useApi,
    useLoad,
    When,
} from '../ui';

const kinds = { completed: 'good', failed: 'bad', cancelled: '', running: 'warn', queued: '' } as const;

/** Of a job, or of a device within one. */
export function JobPill(props: { job: Doc }) {
    const status = String(props.job.status);
    return <Pill kind={kinds[status as keyof typeof kinds] ?? ''}>{status}</Pill>;
}

export const hasEnded = (job: Doc) => !['queued', 'running', 'scheduled'].includes(String(job.status));
export const jobType = (job: Doc) => String(job.type ?? job.jobType ?? '').replace(/^schedule/, '');

export function jobCounts(job: Doc): { devices: number; succeeded: number; failed: number } {
    const counts = (job.deviceJobStatistics ?? {}) as Doc;
    const of = (name: string) => Number(counts[name] ?? 0);
    return { devices: of('deviceCount'), succeeded: of('succeededCount'), failed: of('failedCount') };
}

export function jobProgress(job: Doc): string {
    if ((job.deviceJobStatistics as Doc | undefined)?.deviceCount === undefined) return '--';
    const { devices, succeeded, failed } = jobCounts(job);
    return `${succeeded} of ${devices} done, ${failed} failed`;
}

export function useCancelJob(): (id: string) => Promise<void> {
    const api = useApi();
    return async (id) => {
        await api.ask(`/jobs/v2/${enc(id)}/cancel`, { method: 'POST' });
        notify(`${id} is cancelled.`);
    };
}

export function JobsPage() {
    const api = useApi();
    const [status, setStatus] = useState('');
    const [from, setFrom] = useState<string | null>(null);
    const path = '/jobs/v2/query' + (status ? `?jobStatus=${enc(status)}` : '');
    const live = useNotices('DeviceJobLifecycleEvents');
    const jobs = useLoad(
        () =>
            api.can('service') ? api.page<Doc>(path, {}, from, 50) : Promise.resolve({ items: [], continuation: null }),
        [path, from],
        live.tick,
    );
    const cancel = useCancelJob();
    if (!api.can('service')) return <Denied what="read jobs (it lacks ServiceConnect)" />;
    const stop = async (id: string) => {
        await cancel(id).catch((error: unknown) => notify(messageOf(error), true));
        jobs.reload();
    };
    return (
        <>
            <PageHead title="Jobs" reload={jobs.reload}>
                <LiveBar live={live} />
            </PageHead>
            <div class="row">
                <Choice
                    label="Status"
                    value={status}
                    set={(value) => {
                        setFrom(null);
                        setStatus(value);
                    }}
                    of={[['', 'All'], ...Object.keys(kinds).map((name): [string, string] => [name, name])]}
                />
            </div>
            <Failure text={jobs.error} retry={jobs.reload} />
            <Table
                label="Jobs"
                rows={jobs.data?.items ?? []}
                loading={jobs.loading && !jobs.data}
                empty="No jobs to display: Devices, Run a job starts one."
                columns={[
                    {
                        name: 'Job id',
                        cell: (job) => <a href={href('jobs', String(job.jobId))}>{String(job.jobId)}</a>,
                    },
                    { name: 'Type', cell: jobType },
                    { name: 'Status', cell: (job) => <JobPill job={job} /> },
                    { name: 'For', wrap: true, cell: (job) => String(job.queryCondition ?? '--') },
                    { name: 'Devices', cell: jobProgress },
                    { name: 'Started', cell: (job) => <When at={job.startTime} /> },
                    { name: 'Ended', cell: (job) => <When at={job.endTime} /> },
                    {
                        name: 'Actions',
                        cell: (job) =>
                            !hasEnded(job) && (
                                <RowButton
                                    act="Cancel"
                                    of={String(job.jobId)}
                                    danger
                                    click={() => void stop(String(job.jobId))}
                                />
                            ),
                    },
                ]}
            />
            <Pager from={from} next={jobs.data?.continuation} set={setFrom} />
        </>
    );
}
