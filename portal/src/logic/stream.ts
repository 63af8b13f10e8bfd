// Server-sent events out of pieces of text. No browser in here.

export interface ServerEvent {
    id: string;
    data: string;
}

const LINE_MAX = 4 << 20;

/** Takes text as it comes; hands out whole events. A comment is a sign of life, and no event. */
export class EventReader {
    private rest = '';
    private id = '';
    private data: string[] = [];

    feed(text: string): ServerEvent[] {
        const found: ServerEvent[] = [];
        this.rest += text;
        if (this.rest.length > LINE_MAX) throw new Error('the stream has a line that is too long');
        let end: number;
        while ((end = this.rest.indexOf('\n')) >= 0) {
            const line = this.rest.slice(0, end).replace(/\r$/, '');
            this.rest = this.rest.slice(end + 1);
            if (line === '') {
                if (this.data.length) found.push({ id: this.id, data: this.data.join('\n') });
                this.data = [];
            } else if (!line.startsWith(':')) {
                const colon = line.indexOf(':');
                const name = colon < 0 ? line : line.slice(0, colon);
                const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
                if (name === 'data') this.data.push(value);
                if (name === 'id') this.id = value;
            }
        }
        return found;
    }
}

/** Milliseconds until the next attempt: doubled each time, at most half a minute, half of it by chance. */
export function backOff(attempt: number, chance: () => number = Math.random): number {
    const most = Math.min(30_000, 1000 * 2 ** Math.min(attempt, 10));
    return most / 2 + (most / 2) * chance();
}
