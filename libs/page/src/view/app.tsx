import { useEffect, useMemo } from 'preact/hooks';
import { Album } from '../state/album.js';
import { About } from './about.js';
import { Announcer } from './announcer.js';
import { AskForm } from './ask-form.js';
import { Examples } from './examples.js';
import { KeyForm } from './key-form.js';
import { Stage } from './stage.js';
import { Tray } from './tray.js';
import { Turns } from './turns.js';
import { useFilesFromPage } from './files-from-page.js';

export function App() {
  const album = useMemo(() => new Album(), []);
  const current = album.current.value;
  useFilesFromPage(album);
  useEffect(() => {
    const open = (): void => void album.openLink();
    open();
    window.addEventListener('hashchange', open);
    return () => window.removeEventListener('hashchange', open);
  }, [album]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== 'Escape' || event.defaultPrevented) return;
      if (album.running.value) void album.stop();
      else album.current.value?.choose(undefined);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [album]);
  return (
    <>
      <header>
        <h1>
          <img src="./icon.svg" alt="" width="28" height="28" />
          Segue
        </h1>
        <p>Ask about a picture in your own words. The answer shows what it means.</p>
        <nav>
          <About />
          <a href="docs">API</a>
        </nav>
      </header>
      <main class={current ? 'filled' : ''}>
        <section class="stage" aria-label="Picture">
          <Stage album={album} />
          <Tray album={album} />
          {!current && <Examples album={album} />}
        </section>
        <section class="talk" aria-label="Conversation">
          {current && <Turns conversation={current} key={current.key} />}
          <Problems album={album} />
          <KeyForm onGiven={() => album.complain('')} />
          <AskForm album={album} />
          <Announcer album={album} />
        </section>
      </main>
    </>
  );
}

function Problems({ album }: { album: Album }) {
  const sentence = album.problem.value;
  return (
    <p id="problem" role="alert" hidden={sentence === ''}>
      {sentence}
    </p>
  );
}
