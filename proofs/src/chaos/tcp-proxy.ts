import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A stretch of network between two programs that can be made slow, silent, or cut. */
export class TcpProxy {
  /** Each piece that passes is held for so long, in either direction. */
  latencyMs = 0;
  readonly #target: Address;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  #silence: { readonly over: Promise<void>; readonly end: () => void } | undefined;

  private constructor(target: Address) {
    this.#target = target;
    this.#server = createServer((socket) => void this.#join(socket));
  }

  /** @param at where it listens; port 0 takes a free one. */
  static async open(target: Address, at: Address = { host: '127.0.0.1', port: 0 }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(at.port, at.host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends what is open, and takes nothing new. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Connections stay, and nothing comes through: what a firewall does that has forgotten them. */
  silence(): void {
    let end = (): void => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#silence ??= { over, end };
  }

  /** All is well again. */
  mend(): void {
    this.latencyMs = 0;
    this.#isCut = false;
    this.#silence?.end();
    this.#silence = undefined;
  }

  close(): void {
    this.cut();
    this.mend();
    this.#server.close();
  }

  async #join(near: Socket): Promise<void> {
    if (this.#isCut) return void near.resetAndDestroy();
    const far = connect(this.#target.port, this.#target.host);
    const pair = [near, far];
    for (const socket of pair) {
      this.#sockets.add(socket);
      socket.setNoDelay();
      socket.once('close', () => this.#sockets.delete(socket));
    }
    const hold = (chunks: AsyncIterable<Buffer>) => this.#hold(chunks);
    const ways = [pipeline(near, hold, far), pipeline(far, hold, near)];
    await Promise.all(ways).catch(() => {
      // One side has gone, which the other one must hear of.
      for (const socket of pair) socket.resetAndDestroy();
    });
  }

  async *#hold(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      if (this.latencyMs > 0) await sleep(this.latencyMs);
      await this.#silence?.over;
      yield chunk;
    }
  }
}
