// Lists of the blob service, and what is signed to get them. No browser in here.

export interface Blob {
    name: string; // with the device's id
    size: number;
    modified: string; // as in HTTP
    type: string;
}

const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decoded(text: string): string {
    return text.replace(/&(#x[0-9a-fA-F]+|#\d+|\w+);/g, (whole, name: string) => {
        if (name.startsWith('#x')) return String.fromCodePoint(parseInt(name.slice(2), 16));
        if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
        return entities[name] ?? whole;
    });
}

const element = (xml: string, name: string) =>
    decoded(new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1] ?? '');

/** A page of List Blobs; `next` is the marker of the one behind it. Trusted types leave no parser of the browser's. */
export function readBlobs(xml: string): { blobs: Blob[]; next: string } {
    const blobs = [...xml.matchAll(/<Blob>([^]*?)<\/Blob>/g)].map(([, one = '']) => ({
        name: element(one, 'Name'),
        size: Number(element(one, 'Content-Length')),
        modified: element(one, 'Last-Modified'),
        type: element(one, 'Content-Type'),
    }));
    return { blobs, next: element(xml, 'NextMarker') };
}

const VERSION = '2018-03-28'; // of the text that is signed

/** What of a container is signed: its rights until then. Azure's text of a service signature. */
export function signedText(account: string, container: string, rights: string, until: string): string {
    return [rights, '', until, `/blob/${account}/${container}`, '', '', '', VERSION, '', '', '', '', ''].join('\n');
}

export function signatureQuery(rights: string, until: string, signature: string): string {
    return String(new URLSearchParams({ sv: VERSION, sr: 'c', sp: rights, se: until, sig: signature }));
}

export function sizeText(bytes: number): string {
    if (bytes < 1000) return `${bytes} B`;
    const units = ['kB', 'MB', 'GB', 'TB'];
    const at = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
    return `${(bytes / 1000 ** at).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[at - 1]}`;
}
