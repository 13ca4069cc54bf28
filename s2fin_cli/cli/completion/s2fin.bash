# Completion of s2fin for bash 4.4 and later, as `s2fin --show-completion bash` prints it.

_s2fin() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            path) compopt -o filenames ;;
            open) compopt -o nospace ;;
            file) compopt -o default; continue ;;
        esac
        COMPREPLY+=("$value")
    done < <(_S2FIN_LINE=${COMP_LINE:0:COMP_POINT} _S2FIN_BREAKS=$COMP_WORDBREAKS \
        _S2FIN_COMPLETE=bash_complete "${1/#\~/$HOME}" 2>/dev/null)
}

complete -o nosort -F _s2fin s2fin
