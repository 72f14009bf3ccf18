"""Two processes on a CPU (gloo) against one."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.batches import batch
from helpers.configs import config
from helpers.networks import build, distiller, resnet
from helpers.processes import distributed, in_two_processes
from mmengine.optim import OptimWrapper

from vkd import UserError
from vkd.build.checkpoint import load_weights
from vkd.engine import init_distributed
from vkd.io.files import read_json


def port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])


def shell(*command):
    env = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        PORT=port(),
        OMP_NUM_THREADS='1',
        PATH=os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH'],
    )
    done = subprocess.run([str(c) for c in command], cwd=ROOT, env=env, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


LOG = dict(custom_hooks=[dict(type='vkd.RandomState'), dict(type='vkd.StopOnNonFinite')])


@pytest.mark.parametrize('teacher', ['frozen', 'ema'])
def test_five_steps_of_two_processes_equal_five_of_one_with_the_double_batch(tmp_path, teacher):
    """No batch norm (its statistics are each process's own), no flips (each process draws its own)."""
    torch.save(dict(state_dict=build(resnet(), seed=11).state_dict()), tmp_path / 't.pth')
    role = dict(model=resnet(), checkpoint=str(tmp_path / 't.pth'), **(dict(ema=True, momentum=0.5) if teacher == 'ema' else {}))
    model = distiller(dict(type='KL'), dict(type='CWD'), student=resnet(), teacher=role)
    for name, size in (('one', 4), ('two', 2)):
        cfg = config(
            model, tmp_path / name, iters=5, interval=5, optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)), **LOG
        )
        cfg.train_dataloader.batch_size = size
        cfg.train_dataloader.dataset.pipeline = [s for s in cfg.train_dataloader.dataset.pipeline if s.type != 'RandomFlip']
        cfg.dump(tmp_path / f'{name}.py')
    shell(sys.executable, 'tools/train.py', tmp_path / 'one.py', '--work-dir', tmp_path / 'one')
    shell('tools/dist_train.sh', tmp_path / 'two.py', 2, '--work-dir', tmp_path / 'two')
    one, two = (load_weights(tmp_path / n / 'iter_5.pth') for n in ('one', 'two'))
    assert one.keys() == two.keys() and any(k.startswith('teacher.') for k in one) == (teacher == 'ema')
    for k in one:
        torch.testing.assert_close(two[k], one[k], rtol=1e-4, atol=1e-5)
    assert one['student.decode_head.conv_seg.bias'].abs().max() > 1e-4  # it begins at 0: the steps were taken
    # the test set of 3 and the validation set of 3 are not divisible by 2
    a, b = (read_json(tmp_path / n / 'metrics.json') for n in ('one', 'two'))
    assert a['test']['images'] == b['test']['images'] == 3 and a['test']['mIoU'] == pytest.approx(b['test']['mIoU'], abs=0.5)
    if teacher == 'frozen':  # the very same weights: exactly the same counts
        shell(
            sys.executable,
            'tools/test.py',
            tmp_path / 'one.py',
            tmp_path / 'one/iter_5.pth',
            '--work-dir',
            tmp_path / 'ta',
            '--json',
            tmp_path / 'ta.json',
        )
        shell(
            'tools/dist_test.sh',
            tmp_path / 'one.py',
            tmp_path / 'one/iter_5.pth',
            2,
            '--work-dir',
            tmp_path / 'tb',
            '--json',
            tmp_path / 'tb.json',
        )
        assert read_json(tmp_path / 'ta.json') == read_json(tmp_path / 'tb.json') and read_json(tmp_path / 'ta.json')['images'] == 3


def five_losses(wrap=lambda model: model):
    """Of five steps on eight images; of two processes, each on its own half."""
    rank, world = (torch.distributed.get_rank(), 2) if torch.distributed.is_initialized() else (0, 1)
    model = wrap(build(distiller(dict(type='KL'), dict(type='CWD'), student=resnet(), teacher=resnet())))
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    size, out = 8 // world, []
    for step in range(5):
        data = {k: v[rank * size : (rank + 1) * size] for k, v in batch(8, seed=step).items()}
        out.append(model.train_step(data, wrapper)['loss'].item())
    return out


@pytest.mark.slow
def test_the_loss_of_two_processes_is_that_of_one_with_the_double_batch(tmp_path):
    found = in_two_processes(five_losses, tmp_path, distributed)
    assert found[0] != found[1] and [(a + b) / 2 for a, b in zip(*found.values(), strict=False)] == pytest.approx(five_losses(), rel=1e-5)


def test_a_launcher_without_its_environment_is_told():
    from mmengine.config import Config

    if torch.cuda.is_available():
        pytest.skip('a GPU: mmengine starts the group')
    with pytest.raises(UserError, match='torchrun'):
        init_distributed(Config(dict()), 'pytorch')


@pytest.mark.parametrize('script', sorted(p.name for p in (ROOT / 'tools').glob('*.sh')))
def test_scripts_are_valid_bash(script):
    assert subprocess.run(['bash', '-n', ROOT / 'tools' / script]).returncode == 0 and os.access(ROOT / 'tools' / script, os.X_OK)


@pytest.mark.parametrize('kind', ['train', 'test'])
def test_the_slurm_script_hands_everything_on(kind, tmp_path):
    """srun, scontrol and torchrun stood in for by scripts that write down what they were given."""
    for name, body in dict(
        srun='while [[ $1 == --* ]]; do echo "srun $1" >> $OUT; shift; done; SLURM_NNODES=2 SLURM_JOB_ID=7 SLURM_JOB_NODELIST=n exec "$@"',
        scontrol='printf "node1\\nnode2\\n"',
        torchrun='for a in "$@"; do echo "torchrun $a" >> $OUT; done',
    ).items():
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\n{body}\n')
        (tmp_path / name).chmod(0o755)
    args = ['a b.py', '2', '4', '--amp'] if kind == 'train' else ['a b.py', 'c.pth', '2', '4', '--json', 'x']
    subprocess.run(
        [ROOT / f'tools/slurm_{kind}.sh', *args],
        check=True,
        env=dict(os.environ, PATH=f'{tmp_path}:{os.environ["PATH"]}', OUT=str(tmp_path / 'out'), SRUN_ARGS='--partition=p'),
    )
    lines = (tmp_path / 'out').read_text().splitlines()
    assert {
        'srun --nodes=2',
        'srun --gpus-per-node=4',
        'srun --partition=p',
        'torchrun --nnodes=2',
        'torchrun --nproc_per_node=4',
        'torchrun --rdzv_endpoint=node1:29500',
        'torchrun a b.py',
        'torchrun --launcher',
    } <= set(lines) and lines[-1] == ('torchrun --amp' if kind == 'train' else 'torchrun x')
