#compdef s2fin
# Completion of s2fin for zsh, as `s2fin --show-completion zsh` prints it.

_s2fin() {
    local -a plain described shown open folders files
    local line kind value help
    for line in "${(@f)$(_S2FIN_LINE="${(j: :)words[1,CURRENT]}" _S2FIN_COMPLETE=zsh_complete ${~words[1]} 2>/dev/null)}"; do
        IFS=$'\t' read -r kind value help <<< "$line"
        case $kind in
            plain) if [[ -n $help ]]; then described+=("$value"); shown+=("$value  -- $help"); else plain+=("$value"); fi ;;
            open) open+=("$value") ;;
            path) if [[ $value == */ ]]; then folders+=("${${value%/}:t}"); else files+=("${value:t}"); fi ;;
            file) _files; return ;;
        esac
    done
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    (( $#plain )) && compadd -V values -- $plain
    (( $#described )) && compadd -V described -l -d shown -- $described
    (( $#open )) && compadd -V open -S '' -- $open
    if (( $#folders + $#files )); then
        compset -P '*/'
        (( $#folders )) && compadd -V paths -f -q -S / -- $folders
        (( $#files )) && compadd -V paths -f -- $files
    fi
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _s2fin "$@"  # zsh has just loaded this file from its fpath
else
    compdef _s2fin s2fin
fi
