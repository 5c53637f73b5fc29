import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh'] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * A script that completes commands, options and the values of options that have a few; everything else is files. It asks
 * nothing of `segue` while it completes.
 */
export function completionScript(program: Command, shell: Shell): string {
  const cases = commandsOf(program).map(([path, command]) => {
    const words = [...command.commands.map((child) => child.name()), ...optionsOf(command)];
    return `    '${path}') words='${words.join(' ')}' ;;`;
  });
  const values = choicesOf(program).map(([flag, choices]) => `    ${flag}) words='${choices.join(' ')}' ;;`);
  const commands = commandsOf(program).map(([path]) => `'${path}'`);
  const body = `_segue() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='${program.name()}' words='' word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$path $word" in ${commands.slice(1).join('|')}) path="$path $word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  case "$before" in
${values.join('\n')}
    --*) [[ " $words " == *" $before= "* ]] && words='' ;;
  esac
  words=\${words//=/}
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ "$current" == -* ]] || COMPREPLY+=($(compgen -f -- "$current"))
}
complete -o filenames -F _segue ${program.name()}
`;
  return shell === 'bash' ? body : `${ZSH}\n${body}`;
}

/** What makes zsh take bash's completions, also where nobody has set its own up. */
const ZSH = `(( $+functions[compdef] )) || { autoload -U compinit && compinit }
autoload -U +X bashcompinit && bashcompinit`;

/** Every command by the words that lead to it, the program itself first. */
function commandsOf(command: Command, path = command.name()): (readonly [string, Command])[] {
  return [[path, command], ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name()}`))];
}

/** Flags; one that takes a value ends in `=` until the script has looked. */
function optionsOf(command: Command): string[] {
  const flags = command.options.map(({ long, required }) => `${long ?? ''}${required ? '=' : ''}`);
  return [...flags, '--help'];
}

function choicesOf(program: Command): (readonly [string, readonly string[]])[] {
  const options = commandsOf(program).flatMap(([, command]) => command.options);
  const entries = options.flatMap(({ long, argChoices }) => (long && argChoices ? [[long, argChoices] as const] : []));
  return [...new Map(entries)];
}
