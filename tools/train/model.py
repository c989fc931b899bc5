"""The needle model: llama's architecture, with GGUF's rotation of neighbouring channels.

All but attention works on tokens laid flat ([tokens, ...], a fixed count), so that each function is
compiled once, whatever the length of a sequence.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION]

@dataclass(frozen=True)
class Config:
    vocab: int = 4096
    hidden: int = 384
    layers: int = 6
    q_heads: int = 6
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 1024
    theta: float = 5e5
    eps: float = 1e-5


def rms_norm(x, weight, eps):
    x32 = x.float()
    return x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + eps) * weight


def rotate(x, cos, sin):
    """x [tokens, heads, head_dim]; channels 2i and 2i + 1 turn together by cos, sin [tokens, i]."""
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def before_attention(x, norm, wqkv, cos, sin, n_q: int, n_kv: int, head_dim: int, eps: float,
                     dtype):
    qkv = F.linear(rms_norm(x, norm, eps).to(dtype), wqkv.to(dtype))
    qkv = qkv.unflatten(-1, (n_q + 2 * n_kv, head_dim))
    q, k, v = qkv.split((n_q, n_kv, n_kv), 1)
    return rotate(q, cos, sin).to(dtype), rotate(k, cos, sin).to(dtype), v.contiguous()


def after_attention(x, attended, wo, norm, w_gate_up, w_down, eps: float, dtype):
    x = x + F.linear(attended, wo.to(dtype)).float()
    gate, up = F.linear(rms_norm(x, norm, eps).to(dtype), w_gate_up.to(dtype)).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, w_down.to(dtype)).float()


class Needle(torch.nn.Module):
    def __init__(self, config=Config(), dtype=torch.float32):
        super().__init__()
        self.config, self.dtype = config, dtype
        c, heads = config, config.q_heads * config.head_dim
        shapes = {"embed": (c.vocab, c.hidden), "norm": (c.hidden,)}
        for i in range(c.layers):
            shapes |= {f"{i}.attn_norm": (c.hidden,),
                       f"{i}.qkv": (heads + 2 * c.kv_heads * c.head_dim, c.hidden),
                       f"{i}.o": (c.hidden, heads), f"{i}.ffn_norm": (c.hidden,),
                       f"{i}.gate_up": (2 * c.ffn, c.hidden), f"{i}.down": (c.hidden, c.ffn)}
        self.weights = torch.nn.ParameterDict()
        for name, shape in shapes.items():
            if name.endswith("norm"):
                value = torch.ones(shape)
            else:
                last = name.endswith((".o", ".down"))
                value = torch.randn(shape) * 0.02 / (math.sqrt(2 * c.layers) if last else 1)
            self.weights[name.replace(".", "_")] = torch.nn.Parameter(value)
        self.before, self.after = before_attention, after_attention
        self.ropes = {}

    def compile(self):
        self.before = torch.compile(before_attention, dynamic=False)
        self.after = torch.compile(after_attention, dynamic=False)

    def w(self, name):
        return self.weights[name.replace(".", "_")]

    def rope(self, length, device):
        if (length, device) in self.ropes:
            return self.ropes[length, device]
        c = self.config
        rate = c.theta ** (-torch.arange(0, c.head_dim, 2, dtype=torch.float64) / c.head_dim)
        angle = torch.arange(length, dtype=torch.float64)[:, None] * rate
        table = angle.cos().float().to(device), angle.sin().float().to(device)
        self.ropes[length, device] = table
        return table

    def forward(self, ids):
        """ids [batch, length] -> what the head reads, [batch * length, hidden]."""
        c = self.config
        batch, length = ids.shape
        x = F.embedding(ids.flatten(), self.w("embed")).float()
        cos, sin = (t.repeat(batch, 1) for t in self.rope(length, ids.device))
        for i in range(c.layers):
            q, k, v = self.before(x, self.w(f"{i}.attn_norm"), self.w(f"{i}.qkv"), cos, sin,
                                  c.q_heads, c.kv_heads, c.head_dim, c.eps, self.dtype)
            # [batch, heads, length, head_dim]
            q, k, v = (t.view(batch, length, -1, c.head_dim).transpose(1, 2) for t in (q, k, v))
            with sdpa_kernel(BACKENDS):  # never the one that holds length * length scores
                out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            out = out.transpose(1, 2).reshape(batch * length, -1)
            x = self.after(x, out, self.w(f"{i}.o"), self.w(f"{i}.ffn_norm"),
                           self.w(f"{i}.gate_up"), self.w(f"{i}.down"), c.eps, self.dtype)
        return rms_norm(x, self.w("norm"), c.eps)

    def logits(self, states):
        return F.linear(states.to(self.dtype), self.w("embed").to(self.dtype)).float()
