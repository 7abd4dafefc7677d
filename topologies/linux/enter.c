/* Runs a command in a node: where its first process is, as whom it is, with the rights it has, weighed and limited as it is. It
 * knows no lab.
 *
 * usage: enter PID UID GID [CGROUP_PROCS]... -- [NAME=VALUE]... -- COMMAND [ARGUMENT]...
 * The environment is what is given and nothing else. Static and ours: a node's image need have nothing but the command, and one
 * program is started where sh, env and nsenter would be three. Ends as the command ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static pid_t command;

static void die(const char *what, int code)
{
    fprintf(stderr, "nospof: %s: %s\n", what, strerror(errno));
    exit(code);
}

static void pass_on(int heard)
{
    kill(command, heard);
}

/* A group that is not there leaves us in another: the command is run all the same. */
static void join(const char *group)
{
    int fd = open(group, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "0", 1) < 0)
            errno = 0;
        close(fd);
    }
}

static void explain(void)
{
    fprintf(stderr, "usage: enter PID UID GID [CGROUP_PROCS]... -- [NAME=VALUE]... -- COMMAND [ARGUMENT]...\n");
    exit(2);
}

static char **after_dashes(char **words)
{
    while (*words && strcmp(*words, "--"))
        words++;
    if (!*words)
        explain();
    *words = NULL; /* the list before ends here */
    return words + 1;
}

/* The capabilities that the process, and so what it starts, can have. */
static unsigned long long bounds_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long bounds = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *status = fopen(path, "re");
    if (!status)
        die("the node's first process", 125);
    while (fgets(line, sizeof line, status) && sscanf(line, "CapBnd: %llx", &bounds) != 1)
        ;
    fclose(status);
    return bounds;
}

/* Whatever is executed from now on gets no others, root's programs too. */
static void limit_rights(unsigned long long bounds)
{
    for (int number = 0; number < 64; number++)
        if (!(bounds >> number & 1) && prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1 &&
            prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
            die("the node's capabilities", 125);
}

static void enter(pid_t pid)
{
    char path[64];
    int node = syscall(SYS_pidfd_open, pid, 0);
    if (node < 0)
        die("the node's first process", 125);
    snprintf(path, sizeof path, "/proc/%d/root", pid);
    int root = open(path, O_PATH | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/cwd", pid);
    int directory = open(path, O_PATH | O_CLOEXEC);
    if (root < 0 || directory < 0)
        die(path, 125);
    if (setns(node, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID) < 0)
        die("the node's namespaces", 125);
    if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(directory) < 0)
        die("the node's root", 125);
}

int main(int argc, char **argv)
{
    (void)argc;
    char **groups = argv + 1, **variables = after_dashes(groups), **words = after_dashes(variables);
    if (!groups[0] || !groups[1] || !groups[2] || !*words)
        explain();
    /* Getting there is ours, and does not wait behind what the node does; what is run there is the node's, and does. */
    int before = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, -20);
    pid_t pid = atoi(groups[0]);
    uid_t user = atoi(groups[1]);
    gid_t group = atoi(groups[2]);
    for (groups += 3; *groups; groups++)
        join(*groups);
    unsigned long long bounds = bounds_of(pid);
    enter(pid);
    limit_rights(bounds);
    environ = variables;
    if ((user || group) && (setgroups(0, NULL) < 0 || setgid(group) < 0 || setuid(user) < 0))
        die("the node's user", 125);
    command = fork();
    if (command < 0)
        die("fork", 125);
    if (command == 0) {
        setpriority(PRIO_PROCESS, 0, before);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(*words, words);
        int code = errno == ENOENT ? 127 : 126; /* as a shell has it */
        fprintf(stderr, "%s: %s\n", *words, strerror(errno));
        _exit(code);
    }
    struct sigaction other = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &other, NULL);
    sigaction(SIGHUP, &other, NULL);
    signal(SIGINT, SIG_IGN); /* from a terminal the command hears it itself */
    signal(SIGQUIT, SIG_IGN);
    int status;
    while (waitpid(command, &status, 0) < 0)
        if (errno != EINTR)
            die("the command", 125);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
