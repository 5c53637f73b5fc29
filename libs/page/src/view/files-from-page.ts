import { useEffect } from 'preact/hooks';
import type { Album } from '../state/album.js';

/** Takes files that are dropped anywhere on the page or pasted into it. */
export function useFilesFromPage(album: Album): void {
  useEffect(() => {
    const take = (files: FileList | undefined): void => {
      if (files && files.length > 0) void album.open([...files]);
    };
    const over = (event: DragEvent): void => {
      event.preventDefault();
      document.body.classList.toggle('over', event.type === 'dragenter' || event.type === 'dragover');
    };
    const drop = (event: DragEvent): void => {
      over(event);
      take(event.dataTransfer?.files);
    };
    const paste = (event: ClipboardEvent): void => take(event.clipboardData?.files);
    document.addEventListener('dragenter', over);
    document.addEventListener('dragover', over);
    document.addEventListener('dragleave', over);
    document.addEventListener('drop', drop);
    document.addEventListener('paste', paste);
    return () => {
      document.removeEventListener('dragenter', over);
      document.removeEventListener('dragover', over);
      document.removeEventListener('dragleave', over);
      document.removeEventListener('drop', drop);
      document.removeEventListener('paste', paste);
    };
  }, [album]);
}
