/* A node's first process: waits until the lab is whole, starts what the node is for, passes signals on and reaps.
 *
 * usage: init GATE COMMAND [ARGUMENT]...
 * Static and ours, since an image need not have a shell. GATE is a file: the harness holds its lock until the lab is whole. Ends
 * as the command ends; signals go to the command's process group.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static void pass_the_gate(const char *path)
{
    int gate = open(path, O_RDONLY | O_CLOEXEC);
    if (gate < 0) {
        fprintf(stderr, "nospof: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    while (flock(gate, LOCK_SH) < 0 && errno == EINTR)
        ;
    close(gate);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: init GATE COMMAND [ARGUMENT]...\n");
        return 2;
    }
    pass_the_gate(argv[1]);
    sigset_t all, none;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &none);
    pid_t command = fork();
    if (command == 0) {
        setpgid(0, 0);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(argv[2], argv + 2);
        int code = errno == ENOENT ? 127 : 126; /* as a shell has it */
        fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
        _exit(code);
    }
    if (command < 0) {
        fprintf(stderr, "nospof: fork: %s\n", strerror(errno));
        return 1;
    }
    setpgid(command, command); /* whoever of the two comes first */
    for (;;) {
        int heard;
        if (sigwait(&all, &heard) != 0)
            continue;
        if (heard != SIGCHLD) {
            kill(-command, heard);
            continue;
        }
        int status;
        for (pid_t gone; (gone = waitpid(-1, &status, WNOHANG)) > 0;)
            if (gone == command)
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}
