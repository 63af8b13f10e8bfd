import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Choice, Denied, Failure, messageOf, notify, Pill, Table, useApi, useLoad, When } from '../ui';
import { Pager } from '../forms';

const kinds = { completed: 'good', failed: 'bad', cancelled: '', running: 'warn', queued: '' } as const;

export function JobsPage() {
    const api = useApi();
    const [status, setStatus] = useState('');
    const [from, setFrom] = useState<string | null>(null);
    const path = '/jobs/v2/query' + (status ? `?jobStatus=${enc(status)}` : '');
    const jobs = useLoad(
        () =>
            api.can('service') ? api.page<Doc>(path, {}, from, 50) : Promise.resolve({ items: [], continuation: null }),
        [path, from],
    );
    if (!api.can('service')) return <Denied what="read jobs (it lacks ServiceConnect)" />;
    const cancel = async (id: string) => {
        try {
            await api.ask(`/jobs/v2/${enc(id)}/cancel`, { method: 'POST' });
            notify(`${id} is cancelled.`);
        } catch (error) {
            notify(messageOf(error), true);
        }
        jobs.reload();
    };
    const progress = (job: Doc) => {
        const counts = (job.deviceJobStatistics ?? {}) as Doc;
        if (counts.deviceCount === undefined) return '--';
        return `${String(counts.succeededCount ?? 0)} of ${String(counts.deviceCount)} done, ${String(counts.failedCount ?? 0)} failed`;
    };
    const type = (job: Doc) => String(job.type ?? job.jobType ?? '').replace(/^schedule/, '');
    return (
        <>
            <div class="head">
                <h1>Jobs</h1>
                <div class="actions">
                    <button type="button" onClick={jobs.reload}>
                        Refresh
                    </button>
                </div>
            </div>
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
                loading={jobs.loading}
                empty="No jobs to display"
                columns={[
                    { name: 'Job id', cell: (job) => <code>{String(job.jobId)}</code> },
                    { name: 'Type', cell: type },
                    {
                        name: 'Status',
                        cell: (job) => (
                            <Pill kind={kinds[String(job.status) as keyof typeof kinds] ?? ''}>
                                {String(job.status)}
                            </Pill>
                        ),
                    },
                    { name: 'For', wrap: true, cell: (job) => String(job.queryCondition ?? '--') },
                    { name: 'Devices', cell: progress },
                    { name: 'Started', cell: (job) => <When at={job.startTime} /> },
                    { name: 'Ended', cell: (job) => <When at={job.endTime} /> },
                    {
                        name: 'Actions',
                        cell: (job) =>
                            ['queued', 'running', 'scheduled'].includes(String(job.status)) ? (
                                <button
                                    type="button"
                                    class="small danger"
                                    aria-label={`Cancel ${String(job.jobId)}`}
                                    onClick={() => void cancel(String(job.jobId))}
                                >
                                    Cancel
                                </button>
                            ) : (
                                ''
                            ),
                    },
                ]}
            />
            <Pager from={from} next={jobs.data?.continuation} set={setFrom} />
        </>
    );
}
