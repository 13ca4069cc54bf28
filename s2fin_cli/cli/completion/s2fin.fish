# Completion of s2fin for fish, as `s2fin --show-completion fish` prints it.

function __s2fin_complete
    set -l words (commandline -opc)
    set -lx _S2FIN_LINE (commandline -cp | string collect)
    set -lx _S2FIN_COMPLETE fish_complete
    for line in ($words[1] 2>/dev/null)
        set -l parts (string split \t -- $line)
        if test "$parts[1]" = file
            __fish_complete_path $parts[2]
        else
            printf '%s\t%s\n' $parts[2] $parts[3]
        end
    end
end

complete --command s2fin --no-files --keep-order --arguments '(__s2fin_complete)'
